"""What recipes share that ask methods about given pictures: which they are, and one batch of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.attribution.registry import HELP as METHODS
from recipes.attribution.registry import MethodChoice
from recipes.options.fields import option
from recipes.options.names import safe_name
from recipes.options.targets import HELP as TARGETS
from recipes.options.targets import TOP, Target
from recipes.pages.by_picture import ORIGINAL
from recipes.runner.recipe import Recipe
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.pictures.sets import PictureSet

CHECKED = (32, 32)
"""Size in pixels at which pictures are read to see if they can be: a JPEG is decoded no larger than that needs."""
EXTRA = ("-map", "-thing", "-perceived", "-randomised")
"""How names of files end that lie beside a picture's own."""


@dataclass(frozen=True, kw_only=True)
class PictureQuestions(Recipe):
    """A recipe that asks methods for targets in pictures.

    Units come batch by batch, each with all that is asked of its pictures: memory holds one batch, however many
    pictures there are, and of a run that is stopped the first pictures have everything.
    """

    image: str | Sequence[str] = option((), "a picture, or a folder of pictures; may be repeated", repeat=True)
    target: str | Sequence[str] = option(f"logit:{TOP}", f"{TARGETS}; may be repeated", repeat=True)
    method: str | Sequence[str] = option("grad-cam", f"{METHODS}; may be repeated", repeat=True)
    size: int | None = option(
        None, "side of the pictures as the network sees them, in pixels (default: the model's input size)"
    )
    batch_size: int | None = option(None, "pictures worked on together (default: chosen for the device)")
    steps: int | None = option(None, "", hidden=True)
    learning_rate: float | None = option(None, "", hidden=True)
    precision: str = option("float32", "", hidden=True)
    augment: str = option("none", "", hidden=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("image", "target", "method"):
            values = texts(getattr(self, key))
            if not values or not all(isinstance(value, str | Path) and str(value) for value in values):
                raise BadInput(f"{key}: got {getattr(self, key)!r}; expected one or more texts (--{key})")
        _ = self._targets, self._choices

    @cached_property
    def _targets(self) -> list[Target]:
        return list(dict.fromkeys(Target.parse(text) for text in texts(self.target)))

    @cached_property
    def _choices(self) -> list[MethodChoice]:
        return list({str(choice): choice for choice in map(MethodChoice.parse, texts(self.method))}.values())

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The pictures by a name that tells them apart, and from the files beside others."""
        from recipes.pictures.reading import named_pictures

        found: dict[str, Path] = {}
        for name, file in named_pictures(texts(self.image)).items():
            while name.endswith(EXTRA) or safe_name(name) in found:
                name += "~"
            found[safe_name(name)] = file
        return found

    @cached_property
    def _unreadable(self) -> dict[str, str]:
        """File -> why it cannot be read: filled by `_readable`."""
        return {}

    def skipped(self) -> Mapping[str, str]:
        return self._unreadable

    def settings(self) -> dict[str, Any]:
        # One way to write what may be written in several, so that a run can be continued with any of them.
        return super().settings() | {
            "image": [str(place) for place in texts(self.image)],
            "method": [str(choice) for choice in self._choices],
        }

    def _readable(self, model: Model) -> list[str]:
        """Names of the pictures that can be read; of a folder, the others are skipped.

        Raises:
            BadInput: for a file that was named itself and cannot be read, or if none can.
        """
        from recipes.pictures.sets import READERS

        names, given = list(self._files), {Path(place) for place in texts(self.image)}
        unreadable: dict[str, str] = {}
        for batch in self._set(model, names).batches(CHECKED, READERS):
            for index, reason in batch.skipped.items():
                if self._files[names[index]] in given:
                    raise BadInput(reason)
                unreadable[names[index]] = reason
        if len(unreadable) == len(names):
            raise BadInput(f"none of the {len(names)} pictures can be read; the first: {unreadable[names[0]]}")
        self._unreadable.update({str(self._files[name]): reason for name, reason in unreadable.items()})
        return [name for name in names if name not in unreadable]

    def _set(self, model: Model, names: Sequence[str]) -> PictureSet:
        """Some of the pictures: they are read when they are asked for."""
        from recipes.pictures.sets import READERS, PictureSet

        files = [self._files[name] for name in names]
        return PictureSet(names, partial(_load, files, len(model.mean)), READERS)

    def _pictures(self, model: Model, names: Sequence[str]) -> Tensor:
        """Pictures by name as the network sees them, (B, C, H, W) in [0, 1]."""
        (batch,) = self._set(model, names).batches(self.picture_size(model), len(names))
        for reason in batch.skipped.values():
            raise BadInput(reason)  # it could be read when the run began
        return batch.images

    def _batches(self, model: Model, names: Sequence[str]) -> Iterator[Sequence[str]]:
        """Names of pictures that are worked on together."""
        from inverter.engine import default_batch

        size = self.batch_size or default_batch(model.device)
        return (names[start : start + size] for start in range(0, len(names), size))


def original_units(names: Sequence[str]) -> list[Unit]:
    """The pictures of a batch themselves, which are kept as the network sees them."""
    return [Unit("", None, ORIGINAL, f"originals/{name}.png", image=name, batch=ORIGINAL) for name in names]


def asked_units(folder: str, target: Target, names: Sequence[str]) -> list[Unit]:
    """What is asked of a batch of pictures, one file for each; the class of `top` is not known yet."""
    layer, channel = target.layer, target.channel
    return [Unit(layer, channel, target.kind, f"{folder}/{name}.png", image=name, batch=folder) for name in names]


def with_channels(model: Model, target: Target, units: Sequence[Unit], channels: Sequence[int]) -> list[Unit]:
    """Units of a target with the class, or channel, that it means in each of their pictures; and the class's name."""
    from recipes.activations.predictions import class_name

    names = [class_name(model.categories, channel) if target.of_class else None for channel in channels]
    return [
        replace(unit, channel=channel, name=name) for unit, channel, name in zip(units, channels, names, strict=True)
    ]


def texts(value: str | Sequence[str]) -> tuple[str, ...]:
    """One or several, as several."""
    return (value,) if isinstance(value, str | Path) else tuple(value)


def _load(files: Sequence[Path], channels: int, index: int, size: tuple[int, int]) -> Tensor:
    from recipes.pictures.reading import read_picture

    return read_picture(files[index], channels, size)
