"""The survey behind an atlas: activations of a set of pictures, laid out on a map, in the cells of grids."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recipes.atlas_aligned import Together, living
from recipes.atlas_layout import kept_layout
from recipes.atlas_looks import Look
from recipes.atlas_map import Cell, cells, mean_directions, second_moment, unit_square, whitened
from recipes.collector import Activations, collect
from recipes.keeping import Positions
from recipes.outputs.media import write_bytes
from recipes.picture_sets import PictureSet

if TYPE_CHECKING:
    from recipes.run import RunProgress

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
        places: (N, 2) of each on the map, in [0, 1]; NaN for activations that are all zero and have no direction.
    """

    pictures: PictureSet
    found: Activations
    vectors: Array
    where: Array
    places: Array
    grids: Sequence[Grid]

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


def survey(
    look: Look,
    pictures: PictureSet,
    *,
    out: Path,
    grids: Sequence[int],
    least: int,
    positions: int | str,
    layout: str,
    neighbors: int,
    distance: float,
    ridge: float | None,
    seed: int,
    batch: int | None = None,
    fresh: bool = False,
    together: Together | None = None,
    progress: RunProgress | None = None,
) -> Survey:
    """Collects, lays out and bins; what is on disk already is taken from there.

    Args:
        out: folder for the activations and the layout. together: of several looks, whose map this is then too; it has
            the activations. For the others see `inverter.recipes.Atlas`.

    Raises:
        ValueError, LookupError, OSError: as `collect`; a layer that puts out only zeros, fewer activations than cells,
            a grid without a cell that has enough members.
    """
    model, layer = look.model, look.layer
    keep = Positions(positions, seed=seed) if together is None else together.keep
    if together is None:
        folder = out / "activations"
        found = collect(model, pictures, layer, keep, out=folder, batch=batch, fresh=fresh, progress=progress)
    else:
        found = together.of(look)
    vectors, where = found.vectors(layer), found.where(layer)
    alive = np.flatnonzero(living(vectors)) if together is None else together.alive
    if not len(alive):
        raise ValueError(
            f"layer {layer!r} puts out only zeros for these pictures: choose another layer or other pictures"
        )
    for side in grids:
        if len(alive) < side * side:
            raise ValueError(
                f"{len(alive)} activations are fewer than the {side * side} cells of a {side}x{side} grid: "
                "give more pictures, --positions all, or a smaller --grid"
            )
    looks = {"layer": layer, "model": model.sha256} if together is None else {"looks": together.about()}
    about = looks | {"pictures": pictures.digest, "positions": keep.about()}
    flat = kept_layout(
        out / "layout",
        vectors[alive] if together is None else together.vectors(),
        about,
        method=layout,
        seed=seed,
        neighbors=neighbors,
        distance=distance,
    )
    places = np.full((len(vectors), 2), np.nan)
    places[alive] = unit_square(flat)
    moment = None if ridge is None else second_moment(vectors)
    levels = []
    for side in grids:
        kept = [Cell(cell.row, cell.column, alive[cell.members]) for cell in cells(places[alive], side, least)]
        if not kept:
            raise ValueError(
                f"no cell of a {side}x{side} grid has {least} of the {len(alive)} activations: "
                "give more pictures, a smaller --grid, or a smaller --least"
            )
        means = mean_directions(vectors, kept)
        targets = means if moment is None or ridge is None else whitened(means, moment, ridge)
        levels.append(Grid(side, kept, means, targets))
    return Survey(pictures, found, vectors, where, places, levels)
