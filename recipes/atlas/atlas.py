"""The activation atlas: a map of what a layer sees in a set of pictures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.atlas.layer_choice import HELP as WITH_HELP
from recipes.atlas.layer_choice import AtlasLayer, LayerChoice, LayerLike
from recipes.options.fields import option
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.runner.context import RunContext, once
from recipes.runner.recipe import NetworkRecipe
from recipes.runner.units import Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

    from inverter import Model
    from recipes.atlas.survey import Survey
    from recipes.executors import Executor
    from recipes.outputs.manifest import Record

LAYOUTS = ("umap", "tsne")
AROUND = 0.5
"""Weight of the whole map against the icon's centre."""
READABLE = {"decay": 1.7, "contrast": 1.4, "natural_mean": True, "cast": 0.3}
"""Of icons with the Fourier prior: smooth, not burnt, and in the colours of photographs, without a cast of blue."""
SHARE = 0.02
"""How much of the activations an atlas of one class keeps, by default."""


@dataclass(frozen=True, kw_only=True)
class Atlas(NetworkRecipe):
    """A map of what a layer sees: activations of many pictures, each region with its icon (Carter et al. 2019).

    Activations are laid out in two dimensions and gathered in the cells of a grid. For a cell's mean direction v, its
    icon maximises f(a) = dot(a, v) * max(.1, cos(a, v))^power of the activation a at the icon's centre, and, at a lower
    weight and power, the mean of f over the whole map: the centre makes it true, the surroundings make it readable, and
    all the more where a unit sees but a small part of the icon. The classes that a cell supports come from a linear
    approximation of the rest of the network.

    With `class_`, the map is that of the activations that matter for one class: those whose attribution to its logit,
    the logit's gradient with respect to the activation dot the activation, is among the strongest and above 0.

    `with_` adds a second atlas, of another layer or network, on the same map: activations at the same places of the
    same pictures are laid out together, so that a cell of both has the same members. Of a class, these are the places
    that matter in the first.

    Raises:
        BadInput: for numbers out of their range, or (in `run`) an unknown class, too few activations for the grid.

    Example:
        >>> Atlas(images="photos", layer="features.stage3", grid="10,20", out="OUT").sides
        (10, 20)
    """

    name: ClassVar[str] = "atlas"

    images: str | Sequence[str] | Dataset[Any] = option(
        MISSING, "a folder of pictures, or a picture; may be repeated", repeat=True
    )
    layer: str = option(MISSING, "address of a layer that puts out maps")
    with_: LayerLike | None = option(None, WITH_HELP)
    grid: str | int = option("20", "cells along each side; several are zoom levels: 10,20,40")
    positions: str | int = option("all", "activations of a picture: all, one, or how many, at inner positions")
    min_members: int = option(10, "members that a cell must have", was="least")
    class_: str | int | None = option(None, "a class, by name or index: keep the activations that matter for it")
    share: float | None = option(None, f"with --class: how much of the activations to keep (default: {SHARE:g})")
    layout: str = option("umap", "umap or tsne", choices=LAYOUTS)
    neighbors: int = option(20, "how many activations count as near in the layout")
    min_dist: float = option(0.01, "how near UMAP lets neighbours come to each other", was="distance")
    whiten: float | None = option(None, "ridge of whitened directions, e.g. 0.1 (default: plain directions)")
    power: float = option(4.0, "of the cosine in the icons' objective")
    prior: PriorLike = option("fourier", HELP)
    out: str = option("atlas", "output folder")
    size: int | None = option(96, "side of the icons in pixels")
    steps: int | None = option(48, "optimisation steps for each icon")
    augment: str = option("light", "none, light, standard, strong or wide")

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.sides, self.drawn
        PriorChoice.parse(self.prior)
        if not isinstance(self.layer, str) or not self.layer:
            raise BadInput(f"layer: got {self.layer!r}; expected an address (inverter layers shows them)")
        if self.with_ is not None:
            LayerChoice.parse(self.with_)
        if self.layout not in LAYOUTS:
            raise BadInput(f"unknown layout {self.layout!r}; expected one of {', '.join(LAYOUTS)}")
        for key, lowest in (("min_members", 1), ("neighbors", 2)):
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
                raise BadInput(f"{key} must be an integer of at least {lowest}, got {value!r}")
        if self.share is not None and self.class_ is None:
            raise BadInput("share is given but no class: say which with class")
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
        """The grids, coarse to fine."""
        parts = str(self.grid).split(",")
        if not all(part.strip().isdecimal() and 1 <= int(part) <= 200 for part in parts):
            raise BadInput(f"grid must be integers of 1 to 200, as in 20 or 10,20,40; got {self.grid!r}")
        return tuple(sorted({int(part) for part in parts}))

    @property
    def drawn(self) -> str | int:
        """What to keep of each picture: "all", "one", or a number."""
        if str(self.positions) in ("all", "one"):
            return str(self.positions)
        if not str(self.positions).isdecimal() or int(self.positions) < 1:
            raise BadInput(f"positions must be all, one, or an integer of at least 1, got {self.positions!r}")
        return int(self.positions)

    def settings(self) -> dict[str, Any]:
        places = self.images
        if isinstance(places, str | Path):
            named = [str(places)]
        else:
            named = list(map(str, places)) if isinstance(places, Sequence) else [type(places).__name__]
        own = {"images": named, "grid": ",".join(map(str, self.sides)), "positions": str(self.drawn)}
        settings = super().settings() | own | {"prior": str(PriorChoice.parse(self.prior))}
        return settings if self.with_ is None else settings | {"with": str(self.with_)}

    def recorded_settings(self, context: RunContext) -> dict[str, Any]:
        self._class(context)  # an unknown class is refused first
        settings = super().recorded_settings(context)
        if self.with_ is None:
            return settings
        first, other = self._layers(context)
        return settings | {"with": other.to_json(first)}

    def prepare(self, context: RunContext, units: Sequence[Unit]) -> None:
        for folder, survey in self._surveys(context).items():
            survey.write_directions(Path(self.out) / folder)

    def assemble(self, folder: Path, records: Collection[Record]) -> None:
        from recipes.atlas.page import write_atlas

        write_atlas(folder)

    @once
    def _layers(self, context: RunContext) -> list[AtlasLayer]:
        """What the atlas shows: its layer, and the one that `with_` lays out with it."""
        first = AtlasLayer(context.model, self.layer)
        return [first] if self.with_ is None else [first, LayerChoice.parse(self.with_).load(first, self.device)]

    def _layer(self, context: RunContext, units: Sequence[Unit]) -> AtlasLayer:
        """That of a batch of icons."""
        return next(layer for layer in reversed(self._layers(context)) if units[0].file.startswith(layer.folder))

    @once
    def _surveys(self, context: RunContext) -> dict[str, Survey]:
        """The map of each layer, by its folder."""
        from recipes.atlas.survey import surveys

        return surveys(
            self._layers(context),
            self.images,
            out=Path(self.out),
            grids=self.sides,
            least=self.min_members,
            positions=self.drawn,
            layout=self.layout,
            neighbors=self.neighbors,
            distance=self.min_dist,
            ridge=self.whiten,
            class_index=self._class(context),
            share=SHARE if self.share is None else self.share,
            seed=self.seed,
            fresh=self.fresh,
            progress=context.progress,
            executor=partial(self._executor, context),
        )

    def _executor(self, context: RunContext, model: Model) -> Executor:
        """Where pictures are shown to one of the networks; the second one lives in this process alone."""
        from recipes.executors.in_process import InProcess

        return context.executor if model is context.model else InProcess(model, self.threads)

    @once
    def _class(self, context: RunContext) -> int | None:
        """Index of the one class that the atlas is about, if it is about one."""
        from recipes.atlas.class_attributions import one_class

        return None if self.class_ is None else one_class(self.class_, context.model, self.layer)

    def units(self, context: RunContext) -> list[Unit]:
        from recipes.activations.predictions import class_name
        from recipes.atlas.survey import icon_file

        index = self._class(context)
        for layer in self._layers(context):
            PriorChoice.parse(self.prior).check(self.picture_size(layer.model), layer.model)
            layer.model.shapes([layer.address], self.picture_size(layer.model))
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
        import numpy as np
        import torch

        from objectives import direction

        layer = self._layer(context, units)
        model, places = layer.model, self._surveys(context)[layer.folder].by_file()
        cells = [places[unit.file.removeprefix(layer.folder)] for unit in units]
        vectors = torch.from_numpy(np.stack([grid.targets[index] for grid, index in cells]))
        centre = direction(layer.address, vectors, "center", self.power)
        around = direction(layer.address, vectors, None, self.power / 2)
        objective = centre + AROUND / self._share(layer) ** 2 * around
        choice = PriorChoice.parse(self.prior)
        smooth = READABLE if choice.name == "fourier" else {}
        prior = choice.make(len(units), self.picture_size(model), model, **smooth)
        # All icons start from the same noise: neighbours then differ in what they show, and not by chance.
        prior.reset([torch.Generator("cpu").manual_seed(self.seed) for _ in units])
        return Problem(objective, prior, centre, finish=choice.finish(prior), model=model)

    def _share(self, layer: AtlasLayer) -> float:
        """How much of an icon its centre sees, as a part of its area: the less, the less the centre alone may say."""
        from inverter import receptive_fields

        size = self.picture_size(layer.model)
        field = receptive_fields(layer.model, [layer.address], size)[layer.address]
        return 1.0 if field is None else min(1.0, (field.size / max(size)) ** 2)

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        from recipes.atlas.icon_metrics import metrics

        layer = self._layer(context, units)
        files = [unit.file.removeprefix(layer.folder) for unit in units]
        survey = self._surveys(context)[layer.folder]
        return metrics(layer.model, layer.address, survey, files, images, Path(self.out) / layer.folder)

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
