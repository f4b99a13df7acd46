"""The activation atlas: a map of what a layer represents across a set of images."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.atlas.layer_choice import HELP as WITH_HELP
from recipes.atlas.layer_choice import AtlasLayer, LayerChoice, LayerLike
from recipes.atlas.layout_names import LAYOUTS, Layout
from recipes.evidence.evidence_fields import EvidenceFields
from recipes.options.augmentations import AUGMENTS, TRANSFORMS, AugmentName
from recipes.options.directions import layer_of
from recipes.options.fields import LARGEST, check_integer, option
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.runner.context import RunContext, once
from recipes.runner.natural_fields import ICON_WEIGHT, NaturalRecipe
from recipes.runner.units import Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

    from inverter import Model
    from recipes.atlas.survey import Survey
    from recipes.executors import Executor
    from recipes.outputs.manifest import Record

CLASS_SHARE = 0.02
"""The share of the activations that the atlas of a class keeps by default."""


@dataclass(frozen=True, kw_only=True)
class Atlas(EvidenceFields, NaturalRecipe):
    """A map of a layer's activations across many images, with an icon for each region (Carter et al. 2019).

    Activations are laid out in two dimensions and binned into the cells of a grid. For a cell's mean direction v, its
    icon maximises `objectives.centred_direction`: the cosine to v of the activation at the icon's centre keeps it
    faithful, and what distinguishes v from the average activation, at the centre and around it, makes it readable. The
    smaller the receptive field is compared with the icon, the more the surroundings weigh. An icon whose cosine stays
    below .8 is tried once more, from the mean of the cell's examples. The classes that a cell supports more than the
    average activation does come from a linear approximation of the rest of the network.

    With `class_`, the map shows the activations that support one class: those whose attribution to its logit (the
    gradient of the logit with respect to the activation, dot the activation) is among the strongest and above 0.

    `with_` adds a second atlas, of another layer or network, on the same map: activations at the same positions of the
    same images are laid out together, so that a cell has the same members in both. With `class_`, the attribution at
    the first layer decides which positions are kept.

    Raises:
        BadInput: for a value out of its range, or (in `run`) an unknown class, or too few activations for the grid.

    Example:
        >>> Atlas(images="photos", layer="features.stage3", grid="10,20", out="OUT").sides
        (10, 20)
    """

    name: ClassVar[str] = "atlas"
    merged: ClassVar[bool] = True

    images: str | Sequence[str] | Dataset[Any] = option(
        MISSING, "picture or folder to search; may be repeated", repeat=True
    )
    layer: str = option("", "address of a layer that outputs feature maps (default: that of the directions)")
    with_: LayerLike | None = option(None, WITH_HELP)
    grid: str | int = option("20", "cells along each side; several numbers are zoom levels, e.g. 10,20,40")
    positions: str | int = option("all", "inner positions sampled from each feature map: all, one, or a number")
    min_members: int = option(10, "minimum number of activations in a cell", was="least")
    class_: str | int | None = option(None, "class name or index: keep only activations that support it")
    share: float | None = option(None, f"fraction of the activations kept with --class (default: {CLASS_SHARE:g})")
    layout: Layout = option("umap", "2-D layout algorithm", choices=LAYOUTS)
    neighbors: int = option(20, "neighbours of each activation in the layout; the t-SNE perplexity is a third of it")
    min_dist: float = option(0.01, "minimum distance between points in a UMAP layout", was="distance")
    whiten: float | None = option(None, "ridge for whitening the cell directions, e.g. 0.1 (default: no whitening)")
    power: float = option(6.0, "exponent of the cosine in the icon objective")
    prior: PriorLike = option("fourier", HELP)
    out: str = option("atlas", "output folder")
    icon: int = option(128, "side of the icons in pixels", was="size")
    size: int | None = option(None, "", hidden=True)
    steps: int | None = option(48, "optimisation steps per icon")
    augment: AugmentName = option("light", TRANSFORMS, choices=AUGMENTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "layer", self.layer or layer_of(self.directions))
        _ = self.sides, self.sampled_positions
        check_integer("icon", self.icon, 1, LARGEST)
        if self.size is not None:
            raise BadInput("size is now icon, the side of the icons: pictures have the network's input size")
        PriorChoice.parse(self.prior)
        self.check_judge()
        if not isinstance(self.layer, str) or not self.layer:
            raise BadInput(f"layer: got {self.layer!r}; expected an address (inverter layers lists them)")
        if self.with_ is not None:
            LayerChoice.parse(self.with_)
        check_integer("min_members", self.min_members, 1, 10**9)
        check_integer("neighbors", self.neighbors, 2, 10**9)
        if self.share is not None and self.class_ is None:
            raise BadInput("share is given but no class: set class, or leave share out")
        if self.share is not None and not 0 < self.share <= 1:
            raise BadInput(f"share must be above 0 and at most 1, got {self.share!r}")
        if not 0 <= self.power <= 100:
            raise BadInput(f"power must be in [0, 100], got {self.power!r}")
        if not 0 <= self.min_dist <= 1:
            raise BadInput(f"min_dist must be in [0, 1], got {self.min_dist!r}")
        if self.whiten is not None and not self.whiten > 0:
            raise BadInput(f"whiten must be a ridge above 0, got {self.whiten!r}")

    @property
    def sides(self) -> tuple[int, ...]:
        """Cells along each side of the grids, coarse to fine."""
        parts = str(self.grid).split(",")
        if not all(part.strip().isdecimal() and 1 <= int(part) <= 200 for part in parts):
            raise BadInput(f"grid must be integers of 1 to 200, as in 20 or 10,20,40; got {self.grid!r}")
        return tuple(sorted({int(part) for part in parts}))

    @property
    def sampled_positions(self) -> str | int:
        """The positions that are kept of each image: "all", "one", or a number."""
        if str(self.positions) in ("all", "one"):
            return str(self.positions)
        if not str(self.positions).isdecimal() or int(self.positions) < 1:
            raise BadInput(f"positions must be all, one, or an integer of at least 1, got {self.positions!r}")
        return int(self.positions)

    @property
    def usual_natural_weight(self) -> float:
        return ICON_WEIGHT

    @property
    def shown_size(self) -> None:
        """Icons are small: their size is not that of the network's input."""
        return None

    def settings(self) -> dict[str, Any]:
        from recipes.pictures.sets import dataset_paths

        own = {
            "images": dataset_paths(self.images),
            "grid": ",".join(map(str, self.sides)),
            "positions": str(self.sampled_positions),
        }
        settings = super().settings() | self.judge_settings() | own | {"prior": str(PriorChoice.parse(self.prior))}
        return settings if self.with_ is None else settings | {"with": str(self.with_)}

    def recorded_settings(self, context: RunContext) -> dict[str, Any]:
        self._class_index(context)  # reject an unknown class first
        settings = super().recorded_settings(context)
        if self.with_ is None:
            return settings
        first, other = self._layers(context)
        return settings | {"with": other.to_json(first)}

    def prepare(self, context: RunContext, units: Sequence[Unit]) -> None:
        for folder, survey in self._surveys(context).items():
            survey.write_directions(Path(self.out) / folder)

    def assemble(self, folder: Path, records: Collection[Record]) -> dict[str, Path]:
        from recipes.atlas.page import write_atlas

        return write_atlas(folder)

    @once
    def _layers(self, context: RunContext) -> list[AtlasLayer]:
        """The layer of the atlas, and the one that `with_` adds."""
        first = AtlasLayer(context.model, self.layer)
        return [first] if self.with_ is None else [first, LayerChoice.parse(self.with_).load(first, self.device)]

    def _layer(self, context: RunContext, units: Sequence[Unit]) -> AtlasLayer:
        """The layer of a batch of icons."""
        return next(layer for layer in reversed(self._layers(context)) if units[0].file.startswith(layer.folder))

    @once
    def _surveys(self, context: RunContext) -> dict[str, Survey]:
        """The map of each layer, by the layer's folder."""
        from recipes.atlas.survey import surveys

        return surveys(
            self._layers(context),
            self.images,
            out=Path(self.out),
            grids=self.sides,
            min_members=self.min_members,
            positions=self.sampled_positions,
            layout=self.layout,
            neighbors=self.neighbors,
            min_dist=self.min_dist,
            ridge=self.whiten,
            class_index=self._class_index(context),
            share=CLASS_SHARE if self.share is None else self.share,
            seed=self.seed,
            fresh=self.fresh,
            progress=context.progress,
            executor=partial(self._executor, context),
        )

    def _executor(self, context: RunContext, model: Model) -> Executor:
        """The executor of a network's forward passes; the second network runs in this process only."""
        from recipes.executors.in_process import InProcess

        return context.executor if model is context.model else InProcess(model, self.threads)

    @once
    def _class_index(self, context: RunContext) -> int | None:
        """Index of the class whose atlas is made; None for an atlas of all activations."""
        from recipes.atlas.labels.class_attributions import class_index

        return None if self.class_ is None else class_index(self.class_, context.model, self.layer)

    def units(self, context: RunContext) -> list[Unit]:
        from recipes.activations.predictions import class_name
        from recipes.atlas.survey import icon_file

        index = self._class_index(context)
        for layer in self._layers(context):
            PriorChoice.parse(self.prior).check(self._icon_size(layer), layer.model)
        name = None if index is None else class_name(context.model.categories, index)
        return [
            Unit(
                layer=layer.address,
                channel=None,
                objective="direction",
                file=layer.folder + icon_file(grid.side, cell.row, cell.column),
                name=name,
                batch=f"{layer.folder}{grid.side}",
            )
            for layer in self._layers(context)
            for grid in self._surveys(context)[layer.folder].grids
            for cell in grid.cells
        ]

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem:
        return self._posed(context, units)

    def again(self, context: RunContext, units: Sequence[Unit]) -> Problem:
        return self._posed(context, units, second=True)

    def _posed(self, context: RunContext, units: Sequence[Unit], second: bool = False) -> Problem:
        from recipes.atlas.icon_problem import icon_problem

        layer, choice = self._layer(context, units), PriorChoice.parse(self.prior)
        return icon_problem(
            layer,
            self._surveys(context)[layer.folder],
            [unit.file.removeprefix(layer.folder) for unit in units],
            choice,
            power=self.power,
            icon=self.icon,
            steps=self.steps,
            seed=self.seed,
            second=second,
        )

    def _icon_size(self, layer: AtlasLayer) -> tuple[int, int]:
        """(height, width) in pixels at which the icons of a layer are made; they are written with sides of `icon`."""
        return layer.model.nearest_size([layer.address], (self.icon, self.icon))

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        from recipes.atlas.icon_metrics import metrics

        layer = self._layer(context, units)
        files = [unit.file.removeprefix(layer.folder) for unit in units]
        survey = self._surveys(context)[layer.folder]
        return metrics(layer.model, layer.address, survey, files, images, Path(self.out) / layer.folder)

    def evidence(self, context: RunContext, records: Sequence[Record], folder: Path) -> Mapping[str, Mapping[str, Any]]:
        from recipes.atlas.labels.judged_icons import judged_icons

        second = tuple(layer.folder for layer in self._layers(context) if layer.folder)
        first = [each for each in records if not each.file.startswith(second)]
        found = super().evidence(context, first, folder)
        judged = judged_icons(context.model, self.loaded_judges(context), first, folder) if found else {}
        return {file: {**values, **judged.get(file, {})} for file, values in found.items()}

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        from recipes.atlas.icon_metrics import table

        return table(records, several=self.with_ is not None)

    def closing(self, records: Sequence[Record]) -> str | None:
        from recipes.atlas.page import class_notice

        return class_notice([record.metrics for record in records])

    def skipped(self, context: RunContext) -> Mapping[str, str]:
        from recipes.activations.collect import CollectedActivations

        return CollectedActivations.load(Path(self.out) / "activations").skipped

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.atlas.page import render_atlas

        return render_atlas(manifest)
