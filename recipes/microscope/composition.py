"""Which runs a site is made of: a recipe for each, where it works, and how long it will take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.executors import executor
from recipes.microscope.folders import ACTIVATIONS, ATLAS, CLASS_PATCHES, CLASSES, GALLERY, NAMES, PATCHES, RUNS
from recipes.microscope.network_facts import seconds_of_pass, write_facts
from recipes.microscope.parts import Part
from recipes.options.fields import texts
from recipes.options.names import OUTPUT_LAYER, address
from recipes.outputs.file_names import safe_name
from recipes.pictures.sets import picture_set

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors.progress import RunProgressCallback
    from recipes.gallery.dataset_examples import DatasetExamples
    from recipes.microscope.microscope import Microscope
    from recipes.runner.report import Report

GRADIENT = 3.2
"""How much longer a step of the optimisation takes than a forward pass."""
STEPS, CLASS_STEPS = 32, 128
"""Steps for a unit and for a class, with their restarts, where the user does not say them."""
ATLAS_GRID, ATLAS_STEPS = 10, 48
READING = 0.004
"""Seconds for reading a photograph."""


@dataclass(frozen=True)
class Composition:
    """The parts of a site.

    Attributes:
        recipe: of the site.
        model: the network.
        channels: layer -> its units, in the order of the network.
        classes: with a picture.
        count: of the photographs; 0 without them.
        seconds: layer -> of a forward pass of one picture.
        left_out: what there will not be -> why.
    """

    recipe: Microscope
    model: Model
    channels: Mapping[str, Sequence[int]]
    classes: Sequence[int]
    count: int
    seconds: Mapping[str, float]
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def plan(cls, recipe: Microscope, model: Model) -> Composition:
        """Checks the options with the network, before anything is written.

        Args:
            recipe: of the site.
            model: the network.

        Raises:
            InverterError: for bad input.
        """
        channels, classes = recipe.chosen(model), recipe.chosen_classes(model)
        count = 0
        if recipe.images is not None:
            count = len(picture_set(recipe.images, len(model.mean), model.value_range))
        left_out = {"class models": classes} if isinstance(classes, str) else {}
        if recipe.images is None:
            left_out |= dict.fromkeys(
                ("top patches", "units alike", "evidence by photographs", "atlas"), "needs --images"
            )
        if recipe.vocabulary is None:
            left_out["names of units"] = "needs --vocabulary, and --text-model where the network has no text tower"
        for layer in texts(recipe.atlas):
            if layer not in ("auto", "none"):
                model.check_layer(layer)
        chosen = [] if isinstance(classes, str) else classes
        layers = [*channels, *([OUTPUT_LAYER] if chosen else [])]
        seconds = seconds_of_pass(model, layers, recipe.picture_size(model))
        return cls(recipe, model, channels, chosen, count, seconds, left_out)

    @property
    def runs(self) -> Path:
        """The folder of the parts' runs."""
        return Path(self.recipe.out) / RUNS

    @property
    def planned(self) -> int:
        """Number of the site's units and classes."""
        return sum(map(len, self.channels.values())) + len(self.classes)

    @property
    def parts(self) -> list[Part]:
        """The runs, in the order in which they are made: first what takes little time."""
        found: list[Part] = []
        if self.recipe.images is not None:
            found += self._of_photographs()
        found.append(Part("inputs of units", self._feeds, {"unit": 0.02 * self.planned}))
        for layer in self.channels:
            work = self._pictures(layer, len(self.channels[layer]), STEPS)
            found.append(Part(f"pictures of {layer}", partial(self._gallery, layer), work, needed=True))
        if self.classes:
            work = self._pictures(OUTPUT_LAYER, len(self.classes), CLASS_STEPS)
            found.append(Part("class models", self._class_models, work))
        found += self._atlases()
        return found

    def write_facts(self) -> None:
        """Writes what the site says of the network itself."""
        layers = [*self.channels, *([OUTPUT_LAYER] if self.classes else [])]
        write_facts(self.runs, self.model, layers, self.own_size)

    @property
    def own_size(self) -> tuple[int, int]:
        """(height, width) at which the network reads photographs."""
        return self.model.size_for(None)

    @property
    def _smaller(self) -> bool:
        """Whether pictures have another size than photographs."""
        return self.recipe.picture_size(self.model) != self.own_size

    def _out(self, *names: str) -> str:
        return str(self.runs.joinpath(*names))

    def _known(self, *names: str) -> dict[str, Any]:
        """The photographs of a gallery, with the responses to them that another part has collected."""
        if self.recipe.images is None:
            return {}
        folder = (ACTIVATIONS,) if self._smaller else names
        return {"images": self.recipe.images, "activations": str(self.runs.joinpath(*folder))}

    def _pictures(self, layer: str, count: int, steps: int) -> dict[str | None, float]:
        each = self.seconds[layer] * GRADIENT * (self.recipe.steps or steps)
        return {None: count * each, "": count * (0.02 + (6 * self.seconds[layer] if self.count else 0))}

    def _of_photographs(self) -> Iterator[Part]:
        scale = self.own_size[0] * self.own_size[1] / max(1, self.recipe.picture_size(self.model)[0] ** 2)
        last = max(self.seconds.values()) * (scale if self._smaller else 1) + READING
        named = self.recipe.vocabulary is not None
        work: dict[str | None, float] = {
            "input picture": self.count * last * (2 if named else 1),
            "unit": self.count * last * len(self.channels) / 2,
        }
        yield Part("top patches and names" if named else "top patches", self._patches, work, needed=True)
        if self.classes:
            work = {"input picture": self.count * last, "unit": self.count * last}
            yield Part("top patches of classes", self._class_patches, work)
        if self._smaller:
            work = {"input picture": self.count * (max(self.seconds.values()) + READING)}
            yield Part("responses at the pictures' size", self._responses, work, needed=True)

    def _patches(self, progress: RunProgressCallback | None) -> Report:
        from recipes.gallery.names import Names
        from recipes.gallery.patches import Patches

        recipe = self.recipe
        layers = "all" if texts(recipe.layers) == ("all",) else list(self.channels)
        options = recipe.shared() | {"images": recipe.images, "layer": layers, "channels": recipe.channels}
        if recipe.vocabulary is None:
            return Patches(**options, size=self.own_size, out=self._out(PATCHES)).run(progress)
        return Names(**options, size=self.own_size, **recipe.naming, out=self._out(NAMES)).run(progress)

    def _class_patches(self, progress: RunProgressCallback | None) -> Report:
        from recipes.gallery.patches import Patches

        options = self.recipe.shared() | {"images": self.recipe.images, "size": self.own_size}
        return Patches(**options, objective="logit", channels=list(self.classes), out=self._out(CLASS_PATCHES)).run(
            progress
        )

    def _responses(self, progress: RunProgressCallback | None) -> None:
        from recipes.activations.collect import collect
        from recipes.activations.reducers import Extremes

        recipe = self.recipe
        layers = [address(layer) for layer in self.seconds]
        assert recipe.images is not None  # else there is no such part
        collect(
            self.model,
            recipe.images,
            layers,
            Extremes(),
            out=self.runs / ACTIVATIONS,
            size=recipe.picture_size(self.model),
            fresh=recipe.fresh,
            progress=progress,
            executor=executor(recipe, recipe.load, self.model, recipe.device),
        )

    def _feeds(self, progress: RunProgressCallback | None) -> None:
        from recipes.microscope.feeds import write_feeds

        every = texts(self.recipe.layers) == ("all",)  # among them, pooling and activation functions have no own units
        layers = [layer for layer in self.channels if not every or self._has_weights(layer)]
        chain = [*layers, *([OUTPUT_LAYER] if self.classes else [])]
        before = {layer: earlier for earlier, layer in pairwise(chain)}
        channels = {**self.channels, OUTPUT_LAYER: self.classes}
        if before:
            fresh = self.recipe.fresh
            write_feeds(self.runs, self.model, channels, before, self.own_size, self._examples, fresh, progress)

    def _has_weights(self, layer: str) -> bool:
        part = dict(self.model.module.named_modules()).get(layer)
        return part is None or any(True for _ in part.parameters())

    def _examples(self, layer: str) -> DatasetExamples | None:
        """The responses of a layer's units to the photographs, as an earlier part has collected them."""
        from recipes.gallery.dataset_examples import DatasetExamples

        if self.recipe.images is None:
            return None
        units = PATCHES if self.recipe.vocabulary is None else NAMES
        folder, where = self.runs / (CLASS_PATCHES if layer == OUTPUT_LAYER else units), [address(layer)]
        known = folder / "activations"
        return DatasetExamples(self.model, self.recipe.images, where, self.own_size, folder, activations=known)

    def _gallery(self, layer: str, progress: RunProgressCallback | None) -> Report:
        folder = PATCHES if self.recipe.vocabulary is None else NAMES
        gallery = self.recipe.gallery(layer, self.channels[layer])
        known = self._known(folder, "activations")
        return replace(gallery, **known, out=self._out(GALLERY, safe_name(layer))).run(progress)

    def _class_models(self, progress: RunProgressCallback | None) -> Report:
        from recipes.gallery.class_model import ClassModel
        from recipes.options.priors import PriorChoice

        options = self.recipe.shared("natural", "steps", "size", "seed", "precision", "batch_size")
        if str(PriorChoice.parse(self.recipe.prior)) != "fourier":
            options["prior"] = self.recipe.prior
        known = self._known(CLASS_PATCHES, "activations")
        return ClassModel(class_=list(self.classes), **options, **known, out=self._out(CLASSES)).run(progress)

    def _atlases(self) -> Iterator[Part]:
        chosen = [layer for layer in texts(self.recipe.atlas) if layer != "none"]
        if "auto" in chosen:
            deep = [layer for layer in self.channels if self._has_weights(layer)]
            chosen = [layer for layer in chosen if layer != "auto"] + deep[-1:]
        for layer in dict.fromkeys(chosen) if self.recipe.images is not None else ():
            each = self.seconds.get(layer, max(self.seconds.values()))
            work: dict[str | None, float] = {
                "input picture": self.count * (each + READING),
                None: ATLAS_GRID**2 * 0.7 * ATLAS_STEPS * GRADIENT * each,
            }
            yield Part(f"atlas of {layer}", partial(self._atlas, layer), work)

    def _atlas(self, layer: str, progress: RunProgressCallback | None) -> Report:
        from recipes.atlas.atlas import Atlas

        recipe = self.recipe
        options = recipe.shared("natural", "seed", "precision", "batch_size") | {"images": recipe.images}
        return Atlas(layer=layer, grid=ATLAS_GRID, **options, out=self._out(ATLAS, safe_name(layer))).run(progress)
