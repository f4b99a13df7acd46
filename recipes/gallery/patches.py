"""Top patches: the dataset patches that activate each unit most and least."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from recipes.executors.machines import Machines
from recipes.gallery.gallery import Gallery
from recipes.options.directions import LATENTS_HELP
from recipes.options.fields import MACHINE, MOST, OUTPUT, check_integer, option
from recipes.options.input_values import checked_size
from recipes.options.names import address
from recipes.runner.base import Recipe
from recipes.runner.context import RunContext
from recipes.runner.network_fields import NetworkFields

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from inverter import Model
    from recipes.activations.collect import CollectedActivations
    from recipes.executors.progress import RunProgressCallback
    from recipes.outputs.manifest import Record
    from recipes.pictures.sets import PictureSet
    from recipes.runner.report import Report

PatchObjective = Literal["channel", "neuron", "logit"]
"""What pictures are ranked by: a channel's maximum over its map, the centre of the map, or a logit."""

OBJECTIVES: tuple[PatchObjective, ...] = get_args(PatchObjective)


@dataclass(frozen=True, kw_only=True)
class Patches(Machines, NetworkFields, Recipe):
    """The patches of a dataset that activate each unit most and least, and the distribution of its activation.

    A patch is the unit's receptive field (Araujo et al. 2019) at the position of its highest activation in a picture;
    each picture gives one patch at most. Such patches help people to predict what activates a unit (Borowski et al.
    2021).

    Raises:
        BadInput: for a count below 1, or a value that `Gallery` refuses.

    Example:
        >>> Patches(images="photos", layer="features.stage3", channels="0-3", out="OUT").name
        'patches'
    """

    name: ClassVar[str] = "patches"
    noun: ClassVar[str] = "unit"

    images: str | Sequence[str] | Dataset[Any] = option(
        MISSING, "picture or folder to search; may be repeated", repeat=True, was="dataset"
    )
    layer: str | Sequence[str] = option(
        "all", "address of a layer, or all (every stage); may be repeated", repeat=True, grows=True
    )
    channels: str | int | Sequence[int] = option(
        "all", "channels or classes: all, a list 3,17,42, or ranges 0-15", grows=True
    )
    latents: str | int | Sequence[int] | None = option(None, LATENTS_HELP, grows=True)
    objective: PatchObjective = option(
        "channel",
        "what to rank pictures by: channel (its maximum), neuron (the centre of the map) or logit",
        choices=OBJECTIVES,
    )
    count: int = option(8, "number of patches that activate a unit most, and of those that activate it least")
    out: str = option("patches", "output folder")
    size: str | int | Sequence[int] | None = option(
        None, "side of the pictures in pixels, or HxW (default: the model's input size)"
    )
    batch_size: int | None = option(
        None, "pictures in one forward pass (default: chosen for the device)", group=MACHINE
    )
    fresh: bool = option(False, "start over: remove what an earlier run left in the output folder", group=OUTPUT)

    def __post_init__(self) -> None:
        Machines.__post_init__(self)
        Recipe.__post_init__(self)
        object.__setattr__(self, "size", checked_size(self.size))
        check_integer("count", self.count, 1, MOST)
        _ = self._gallery

    @property
    def _gallery(self) -> Gallery:
        """A gallery of the same units, which finds and checks them."""
        return Gallery(
            model=self.model,
            input_size=self.input_size,
            value_range=self.value_range,
            show_channels=self.show_channels,
            layer=self.layer,  # by default all of them: one pass over the pictures serves any number of units
            channels=None if self.channels == "all" and self.latents is not None else self.channels,
            latents=self.latents,
            directions=self.directions,
            objective=self.objective,
            size=self.size,
            images=self.images,
            out=self.out,
        )

    def settings(self) -> dict[str, Any]:
        """The fields as JSON values, for the manifest."""
        known = self._gallery.settings()
        own = {key: known[key] for key in ("layer", "channels", "latents", "images")}
        return super().settings() | self.network_settings() | own

    @property
    def shown_size(self) -> int | tuple[int, int] | None:
        return checked_size(self.size)

    def _run(self, progress: RunProgressCallback | None) -> Report:
        """One forward pass over all pictures, then another over those that are shown, for their heat maps."""
        from inverter import receptive_fields
        from recipes.activations.collect import collect
        from recipes.activations.reducers import Extremes
        from recipes.executors import executor
        from recipes.executors.progress import RunProgress
        from recipes.gallery.patch_records import PatchRecords, patch_tile
        from recipes.outputs.manifest import Manifest, describe
        from recipes.outputs.store import Store
        from recipes.pictures.sets import picture_set
        from recipes.runner.report import Report

        started = time.perf_counter()
        model, gallery = self.load(), self._gallery
        units, pictures = (
            gallery.units(RunContext(gallery, model)),
            picture_set(self.images, len(model.mean), model.value_range),
        )
        size = gallery.picture_size(model)
        layers = list(dict.fromkeys(unit.layer for unit in units))
        fields = receptive_fields(model, [address(layer) for layer in layers], size)
        manifest = Manifest(self.name, self.settings(), dict(describe(model)), len(units), growing=self.growing)
        rows: dict[str, dict[str, Any]] = {}
        sources = {unit.file: unit.made_from for unit in units}

        def table(records: Sequence[Record]) -> list[dict[str, Any]]:
            return [rows[layer] for layer in dict.fromkeys(record.layer for record in records) if layer in rows]

        store = Store.open(Path(self.out), manifest, self.page, sources, self.fresh, table)
        collected = collect(
            model,
            pictures,
            [address(layer) for layer in layers],
            Extremes(),
            out=Path(self.out) / "activations",
            size=size,
            batch=self.batch_size,
            fresh=self.fresh,
            progress=progress,
            executor=executor(self, self.load, model, self.device),
        )
        annotate = self._annotator(model, pictures, collected, progress)
        made, todo, saved = 0, sum(not store.has(unit.file) for unit in units), set[int]()
        try:
            for layer in layers:
                where = address(layer)
                patches = PatchRecords(model, pictures, collected, where, fields[where], self.objective, self.count)
                responses = patches.responses([unit for unit in units if unit.layer == layer])
                rows[layer] = {"layer": layer, **patches.summary(list(responses.values()))}
                missing = {unit: response for unit, response in responses.items() if not store.has(unit.file)}
                if missing:
                    found = patches.with_heat_maps(missing, Path(self.out), saved)
                    store.add((annotate(record), maps) for record, maps in found)
                made += len(missing)
                if progress is not None and todo:
                    progress(RunProgress(made, todo, len(units) - todo, "unit"))
        finally:
            page = store.finish(patch_tile)
        seconds = time.perf_counter() - started
        return Report(Path(self.out), store.manifest, made, seconds, page=page, skipped=collected.skipped)

    def _annotator(
        self,
        model: Model,
        pictures: PictureSet,
        collected: CollectedActivations,
        progress: RunProgressCallback | None,
    ) -> Callable[[Record], Record]:
        """What a recipe that derives from this one adds to the record of each unit."""
        return lambda record: record

    def page(self, manifest: Mapping[str, Any]) -> str:
        """`index.html` of a manifest."""
        from recipes.gallery.patches_page import render_patches

        return render_patches(manifest)
