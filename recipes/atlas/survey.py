"""The survey behind an atlas: activations of a set of pictures, laid out on a map, in the cells of grids."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inverter_errors import BadInput
from recipes.activations.collect import CollectedActivations
from recipes.atlas.cells import Cell, cells, mean_directions, second_moment, unit_square, whitened
from recipes.atlas.class_attributions import collect_attributions, strongest
from recipes.atlas.class_effects import without_classes
from recipes.atlas.joint_layers import collect_together
from recipes.atlas.layer_choice import AtlasLayer
from recipes.atlas.layout import kept_layout
from recipes.outputs.atomic import write_bytes
from recipes.pictures.sets import Pictures, PictureSet, picture_set

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback

Array = np.ndarray[Any, Any]
EXAMPLES = 4
"""Members of a cell, each of another picture, that stand for it."""


@dataclass(frozen=True, eq=False)
class Grid:
    """One zoom level of the map.

    Attributes:
        side: columns and rows.
        cells: those with enough members, row by row.
        means: (cells, C) mean activation of each. targets: (cells, C) what its icon climbs: the mean, or whitened.
    """

    side: int
    cells: Sequence[Cell]
    means: Array
    targets: Array


@dataclass(frozen=True, eq=False)
class Survey:
    """A map of a layer.

    Attributes:
        pictures, found: the set, and what was kept of it.
        vectors: (N, C) activations, possibly on disk. where: (N, 3) picture, y, x of each.
        places: (N, 2) of each on the map, in [0, 1]; NaN for activations that are all zero and have no direction, and
            in the atlas of a class for those that matter little for it.
        no_classes: why none can be told of directions, if so.
    """

    pictures: PictureSet
    found: CollectedActivations
    vectors: Array
    where: Array
    places: Array
    grids: Sequence[Grid]
    no_classes: str | None = None

    def by_file(self) -> dict[str, tuple[Grid, int]]:
        """The cell that each icon's file shows: its grid, and its index there."""
        return {
            icon_file(grid.side, cell.row, cell.column): (grid, index)
            for grid in self.grids
            for index, cell in enumerate(grid.cells)
        }

    def write_directions(self, folder: Path) -> None:
        """Writes the mean directions of each grid's cells, (cells, C), as `directions/GRID.npy`."""
        for grid in self.grids:
            buffer = io.BytesIO()
            np.save(buffer, grid.means)
            write_bytes(folder / "directions" / f"{grid.side}.npy", buffer.getvalue())

    def examples(self, cell: Cell, mean: Array) -> Array:
        """The members nearest to a cell's mean direction, at most one of each picture: indices, nearest first."""
        members = np.asarray(self.vectors[cell.members], dtype=np.float32)
        cosines = members @ mean / np.maximum(np.linalg.norm(members, axis=1), 1e-12)
        order = np.argsort(-cosines, kind="stable")
        _, first = np.unique(self.where[cell.members][order, 0], return_index=True)
        return np.asarray(cell.members[order[np.sort(first)[:EXAMPLES]]])


def icon_file(side: int, row: int, column: int) -> str:
    """Where an icon goes, below the output folder."""
    return f"icons/{side}/{row:02d}-{column:02d}.png"


def surveys(
    layers: Sequence[AtlasLayer],
    images: Pictures,
    *,
    out: Path,
    grids: Sequence[int],
    least: int,
    positions: int | str,
    layout: str,
    neighbors: int,
    distance: float,
    ridge: float | None,
    class_index: int | None = None,
    share: float = 1.0,
    seed: int,
    fresh: bool = False,
    progress: RunProgressCallback | None = None,
    executor: Callable[[Model], Executor] | None = None,
) -> dict[str, Survey]:
    """Collects, lays out and bins; what is on disk already is taken from there. One map for all layers, by folder.

    Args:
        out: folder for the activations and the layout. class_index: of the one class that the map is about, to the
            network of the first layer; `share` of the places is kept, by what the first layer's activation there
            contributes. executor: for a network, where pictures are shown to it. For the others see
            `inverter.recipes.Atlas`.

    Raises:
        BadInput, NotFound, OSError: as `collect`; a layer that puts out only zeros, fewer activations than cells,
            a grid without a cell that has enough members.
    """
    together = collect_together(
        layers, images, out=out, positions=positions, seed=seed, fresh=fresh, progress=progress, executor=executor
    )
    first, alive = layers[0], together.alive
    if not len(alive):
        raise BadInput(
            f"layer {first.address!r} puts out only zeros for these pictures: choose another layer or other pictures"
        )
    pictures = {layer.folder: picture_set(images, len(layer.model.mean)) for layer in layers}
    about = together.about() | {"pictures": pictures[first.folder].digest, "positions": together.reducer.about()}
    kind, more = "", "--positions all"
    if class_index is not None:
        values = collect_attributions(
            first.model,
            pictures[first.folder],
            together.of(first),
            first.address,
            class_index,
            out=out / "attributions",
            fresh=fresh,
            progress=progress,
        )
        alive = np.intersect1d(alive, strongest(values, share))
        about |= {"class": class_index, "share": share}
        kind, more = " that matter for the class", "a larger --share, --positions all"
    for side in grids:
        if len(alive) < side * side:
            raise BadInput(
                f"{len(alive)} activations{kind} are fewer than the {side * side} cells of a {side}x{side} grid: "
                f"give more pictures, {more}, or a smaller --grid"
            )
    options = {"method": layout, "seed": seed, "neighbors": neighbors, "distance": distance}
    flat = unit_square(kept_layout(out / "layout", together.vectors(), about, alive, **options))
    binned: dict[int, list[Cell]] = {}
    for side in grids:
        binned[side] = [Cell(cell.row, cell.column, alive[cell.members]) for cell in cells(flat, side, least)]
        if not binned[side]:
            raise BadInput(
                f"no cell of a {side}x{side} grid has {least} of the {len(alive)} activations{kind}: "
                "give more pictures, a smaller --grid, or a smaller --least"
            )
    made = {}
    for layer in layers:
        found = together.of(layer)
        places = np.full((len(found.vectors(layer.address)), 2), np.nan)
        places[alive] = flat
        made[layer.folder] = _survey(layer, pictures[layer.folder], found, places, binned, ridge)
    return made


def _survey(
    layer: AtlasLayer,
    pictures: PictureSet,
    found: CollectedActivations,
    places: Array,
    binned: Mapping[int, Sequence[Cell]],
    ridge: float | None,
) -> Survey:
    vectors, where = found.vectors(layer.address), found.where(layer.address)
    moment = None if ridge is None else second_moment(vectors)
    levels = []
    for side, kept in binned.items():
        means = mean_directions(vectors, kept)
        targets = means if moment is None or ridge is None else whitened(means, moment, ridge)
        levels.append(Grid(side, kept, means, targets))
    silent = without_classes(layer.model, layer.address, found.size)
    return Survey(pictures, found, vectors, where, places, levels, silent)
