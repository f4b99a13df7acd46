"""The bases of recipes on input images, batch by batch: all of them, and those that apply attribution methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.attribution.registry import HELP as METHODS
from recipes.attribution.registry import MethodChoice
from recipes.options.augmentations import AUGMENTS, AugmentName
from recipes.options.fields import option, texts
from recipes.options.targets import HELP as TARGETS
from recipes.options.targets import TOP, Target
from recipes.outputs.file_names import safe_name
from recipes.outputs.vocabulary import ORIGINAL
from recipes.runner.base import UnitPlan
from recipes.runner.context import RunContext
from recipes.runner.picture_fields import PictureFields
from recipes.runner.recipe import NetworkRecipe
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from inverter.settings import Precision


@dataclass(frozen=True, kw_only=True)
class PictureRecipe(PictureFields, NetworkRecipe):
    """A recipe that looks at input images as the network receives them, batch by batch, and optimises no prior.

    Units are ordered by batch: all units of one batch are finished before the next begins. So memory holds one batch,
    however many images there are, and the first images of an interrupted run are complete.
    """

    size: str | int | Sequence[int] | None = option(
        None, "side of the images as the network receives them in pixels, or HxW (default: the model's input size)"
    )
    batch_size: int | None = option(None, "images processed together (default: chosen for the device)")
    steps: int | None = option(None, "", hidden=True)
    learning_rate: float | None = option(None, "", hidden=True)
    precision: Precision = option("float32", "", hidden=True)
    augment: AugmentName = option("none", "", hidden=True, choices=AUGMENTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_images()

    def settings(self) -> dict[str, Any]:
        # One spelling of equal values, so that a run can be resumed with any of them.
        return super().settings() | {"image": list(self.images)}

    @property
    def _targeted(self) -> Iterable[Target]:
        """The targets that the network must know: their directions are added to it."""
        return ()

    def load(self) -> Model:
        model = super().load()
        for target in self._targeted:
            model = target.prepared(model)
        return model

    def together(self, context: RunContext, units: Sequence[Unit]) -> int:
        return UnitPlan.together(self, context, units)  # images: a method chooses how many copies of each

    def _read(self, context: RunContext, names: Sequence[str]) -> Tensor:
        """Images by name as the network receives them, (B, C, H, W) in [0, 1]."""
        return self.pictures(context).read(names, self.picture_size(context.model))

    def _batches(self, context: RunContext) -> Iterator[dict[str, Path]]:
        """The images by name, batch by batch."""
        from inverter.engine import default_batch

        size, files = self.batch_size or default_batch(context.model.device), self.pictures(context).files
        names = list(files)
        for start in range(0, len(names), size):
            yield {name: files[name] for name in names[start : start + size]}


@dataclass(frozen=True, kw_only=True)
class HeatMapRecipe(PictureRecipe):
    """A recipe that computes heat maps of targets in input images, by attribution methods."""

    reserved: ClassVar[tuple[str, ...]] = ("-map", "-cutout", "-perception", "-randomised")

    target: str | Sequence[str] = option(f"logit:{TOP}", f"{TARGETS}; may be repeated", repeat=True, grows=True)
    method: str | Sequence[str] = option("grad-cam", f"{METHODS}; may be repeated", repeat=True, grows=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("target", "method"):
            values = texts(getattr(self, key))
            if not values or not all(isinstance(value, str) and value for value in values):
                raise BadInput(f"{key}: got {getattr(self, key)!r}; expected one or more texts")
        _ = self._targets, self._choices

    @property
    def _targets(self) -> list[Target]:
        return list(dict.fromkeys(Target.parse(text) for text in texts(self.target)))

    @property
    def _targeted(self) -> Iterable[Target]:
        return self._targets

    @property
    def _choices(self) -> list[MethodChoice]:
        return list({str(choice): choice for choice in map(MethodChoice.parse, texts(self.method))}.values())

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"method": [str(choice) for choice in self._choices]}


def original_units(files: Mapping[str, Path]) -> list[Unit]:
    """The units of a batch of input images themselves, stored as the network receives them."""
    return [
        Unit("", None, ORIGINAL, f"originals/{safe_name(name)}.png", image=name, batch=ORIGINAL, made_from=str(file))
        for name, file in files.items()
    ]


def map_units(folder: str, target: Target, method: str, files: Mapping[str, Path]) -> list[Unit]:
    """The units of the heat maps of a batch, one per image; the class of a target `top` is not known yet."""
    return [
        Unit(
            target.layer,
            target.channel,
            target.kind,
            f"{folder}/{safe_name(name)}.png",
            image=name,
            batch=folder,
            made_from=f"{method} of {target} in {file}",
        )
        for name, file in files.items()
    ]


def with_channels(model: Model, target: Target, units: Sequence[Unit], channels: Sequence[int]) -> list[Unit]:
    """The units of a target with the class or channel that it is in each image, and the name of the class or latent."""
    from recipes.activations.predictions import class_name

    latents = None if target.of_class else model.directions_of(target.address)
    labels = [latents.label(channel) or None if latents else None for channel in channels]
    names = [class_name(model.categories, channel) for channel in channels] if target.of_class else labels
    return [
        replace(unit, channel=channel, name=name) for unit, channel, name in zip(units, channels, names, strict=True)
    ]
