"""The data of an atlas: activations of a set of images, laid out on a map and binned into the cells of grids."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inverter_errors import BadInput, plural
from recipes.activations.collect import CollectedActivations
from recipes.atlas.cells import (
    Cell,
    cells,
    contrasts,
    mean_activation,
    mean_directions,
    second_moment,
    unit_square,
    whitened,
)
from recipes.atlas.joint_layers import collect_joint
from recipes.atlas.labels.class_attributions import collect_attributions, strongest
from recipes.atlas.labels.class_effects import without_classes
from recipes.atlas.layer_choice import AtlasLayer
from recipes.atlas.layout import cached_layout
from recipes.atlas.layout_names import Layout
from recipes.outputs.atomic import write_bytes
from recipes.pictures.sets import Pictures, PictureSet, picture_set

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback

Array = np.ndarray[Any, Any]
EXAMPLES = 4
"""Number of example members of a cell, each from a different image."""


@dataclass(frozen=True, eq=False)
class Grid:
    """One zoom level of the map.

    Attributes:
        side: number of columns and rows.
        cells: those with enough members, row by row.
        means: (cells, C), the mean activation of each.
        apart: (cells, C), what distinguishes each mean from the average of the map's activations.
        targets: (cells, C), what icons show: `apart`, or the whitened mean.
    """

    side: int
    cells: Sequence[Cell]
    means: Array
    apart: Array
    targets: Array


@dataclass(frozen=True, eq=False)
class Survey:
    """The map of a layer.

    Attributes:
        pictures: the images.
        found: the activations collected from them.
        vectors: (N, C), the activations, possibly on disk.
        where: (N, 3), image, y and x of each.
        places: (N, 2), coordinates of each on the map, in [0, 1]; NaN for activations that are not shown: those that
            are all zero, and in the atlas of a class those that do not support it enough.
        grids: the zoom levels, coarse to fine.
        no_classes: the reason if effects on classes cannot be computed.
    """

    pictures: PictureSet
    found: CollectedActivations
    vectors: Array
    where: Array
    places: Array
    grids: Sequence[Grid]
    no_classes: str | None = None

    def by_file(self) -> dict[str, tuple[Grid, int]]:
        """The cell of each icon, by the icon's file: its grid, and its index there."""
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
        """Indices of the members nearest to a cell's mean direction, at most one per image, nearest first."""
        members = np.asarray(self.vectors[cell.members], dtype=np.float32)
        cosines = members @ mean / np.maximum(np.linalg.norm(members, axis=1), 1e-12)
        order = np.argsort(-cosines, kind="stable")
        _, first = np.unique(self.where[cell.members][order, 0], return_index=True)
        return np.asarray(cell.members[order[np.sort(first)[:EXAMPLES]]])


def icon_file(side: int, row: int, column: int) -> str:
    """The file of an icon, relative to the folder of its atlas."""
    return f"icons/{side}/{row:02d}-{column:02d}.png"


def surveys(
    layers: Sequence[AtlasLayer],
    images: Pictures,
    *,
    out: Path,
    grids: Sequence[int],
    min_members: int,
    positions: int | str,
    layout: Layout,
    neighbors: int,
    min_dist: float,
    ridge: float | None,
    class_index: int | None = None,
    share: float = 1.0,
    seed: int,
    fresh: bool = False,
    progress: RunProgressCallback | None = None,
    executor: Callable[[Model], Executor] | None = None,
) -> dict[str, Survey]:
    """Collects activations, lays them out and bins them, on one map for all layers; uses what is on disk already.

    Args:
        layers: one, or two on the same map.
        images: the images.
        out: folder for the activations and the layout.
        grids: cells along each side, of each grid.
        min_members: minimum number of activations in a cell.
        positions: sampled from each feature map: "all", "one", or a number.
        layout: the layout algorithm.
        neighbors: as in `lay_out`.
        min_dist: as in `lay_out`.
        ridge: of the whitening of directions; None for no whitening.
        class_index: restricts the map to the activations that support this class of the first network.
        share: of all activations that is kept then, by the attribution at the first layer.
        seed: of the random draws.
        fresh: start over.
        progress: called with a `RunProgress`, in images.
        executor: returns the executor of a network's forward passes.

    Returns:
        The map of each layer, by the layer's folder.

    Raises:
        BadInput: as `collect`; for a layer that outputs only zeros, fewer activations than cells, or a grid without a
            cell that has enough members.
        NotFound: as `collect`.
        OSError: as `collect`.
    """
    joint = collect_joint(
        layers, images, out=out, positions=positions, seed=seed, fresh=fresh, progress=progress, executor=executor
    )
    first, kept = layers[0], joint.nonzero
    if not len(kept):
        raise BadInput(
            f"layer {first.address!r} outputs only zeros for these images: choose another layer or other images"
        )
    pictures = {layer.folder: picture_set(images, len(layer.model.mean), layer.model.value_range) for layer in layers}
    about = joint.about() | {"pictures": pictures[first.folder].digest, "positions": joint.reducer.about()}
    kind, more = "", "set positions to all"
    if class_index is not None:
        values = collect_attributions(
            first.model,
            pictures[first.folder],
            joint.of(first),
            first.address,
            class_index,
            out=out / "attributions",
            fresh=fresh,
            progress=progress,
        )
        kept = np.intersect1d(kept, strongest(values, share))
        about |= {"class": class_index, "share": share}
        kind, more = " that support the class", "set a larger share, set positions to all"
    for side in grids:
        if len(kept) < side * side:
            raise BadInput(
                f"got {plural(len(kept), 'activation')}{kind}, fewer than the {side * side} cells of a {side}x{side} "
                f"grid: give more images, {more}, or set a smaller grid"
            )
    options = {"method": layout, "seed": seed, "neighbors": neighbors, "min_dist": min_dist}
    flat = unit_square(cached_layout(out / "layout", joint.vectors(), about, kept, **options))
    binned: dict[int, list[Cell]] = {}
    for side in grids:
        binned[side] = [Cell(cell.row, cell.column, kept[cell.members]) for cell in cells(flat, side, min_members)]
        if not binned[side]:
            raise BadInput(
                f"no cell of a {side}x{side} grid has {min_members} of {plural(len(kept), 'activation')}{kind}: "
                "give more images, or set a smaller grid or min_members"
            )
    made = {}
    for layer in layers:
        found = joint.of(layer)
        places = np.full((len(found.vectors(layer.address)), 2), np.nan)
        places[kept] = flat
        made[layer.folder] = _survey(layer, pictures[layer.folder], found, places, kept, binned, ridge)
    return made


def _survey(
    layer: AtlasLayer,
    pictures: PictureSet,
    found: CollectedActivations,
    places: Array,
    kept: Array,
    binned: Mapping[int, Sequence[Cell]],
    ridge: float | None,
) -> Survey:
    vectors, where = found.vectors(layer.address), found.where(layer.address)
    moment = None if ridge is None else second_moment(vectors)
    average, levels = mean_activation(vectors, kept), []
    for side, filled in binned.items():
        means = mean_directions(vectors, filled)
        apart = contrasts(means, average)
        targets = apart if moment is None or ridge is None else whitened(means, moment, ridge)
        levels.append(Grid(side, filled, means, apart, targets))
    no_classes = without_classes(layer.model, layer.address, found.size)
    return Survey(pictures, found, vectors, where, places, levels, no_classes)
