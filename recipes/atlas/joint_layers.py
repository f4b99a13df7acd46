"""Aligned atlases: activations of several layers, or networks, at the same places of the same pictures, on one map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inverter_errors import BadInput
from recipes.activations.collect import CollectedActivations, collect
from recipes.activations.reducers import Positions, SharedPositions
from recipes.atlas.layer_choice import AtlasLayer
from recipes.atlas.layout import Rows
from recipes.pictures.sets import Pictures, picture_set

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback

Array = np.ndarray[Any, Any]


def side_by_side(parts: Sequence[Array]) -> Array:
    """Activations of N places in several layers, as one vector a place: (N, C1), (N, C2), ... to (N, C1 + C2 + ...).

    Each part counts by its direction alone, and all alike: the cosine distance of two such vectors is the mean of the
    layers' own, d = (d1 + d2 + ...) / n. Places lie near each other in their layout where all layers see them alike.

    Args:
        parts: none of their rows all zero.

    Example:
        >>> joint = side_by_side([np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[2.0], [1.0]])])
        >>> round(float(joint[0] @ joint[1] / 2), 3)  # (.6 + 1) / 2
        0.8
    """
    units = [np.asarray(part, dtype=np.float32) for part in parts]
    return np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in units], axis=1)


@dataclass(frozen=True, eq=False)
class Together:
    """What the layers of an atlas, one or several, make of the same places: row i of each is of one place.

    Attributes:
        layers, found: as many; each layer's activations.
        keep: how the places were drawn.
    """

    layers: Sequence[AtlasLayer]
    found: Sequence[CollectedActivations]
    reducer: Positions

    def of(self, layer: AtlasLayer) -> CollectedActivations:
        """One layer's activations."""
        return self.found[self.layers.index(layer)]

    @cached_property
    def alive(self) -> Array:
        """Indices (M,) of the places where no layer's activation is all zero, rising."""
        seen = [living(found.vectors(layer.address)) for layer, found in zip(self.layers, self.found, strict=True)]
        return np.flatnonzero(np.logical_and.reduce(seen))

    def vectors(self) -> Rows:
        """What is laid out, row by row: a layer's activations, or those of several as in `side_by_side`."""
        parts = [found.vectors(layer.address) for layer, found in zip(self.layers, self.found, strict=True)]
        return parts[0] if len(parts) == 1 else _Joint(parts)

    def about(self) -> dict[str, Any]:
        """What the layers are, as JSON."""
        seen = [(layer.address, layer.model) for layer in self.layers]
        if len(seen) == 1:
            return {"layer": seen[0][0], "model": seen[0][1].sha256}
        described = [
            {"layer": layer, "model": model.sha256, "mean": list(model.mean), "std": list(model.std)}
            for layer, model in seen
        ]
        return {"layers": described}


@dataclass(frozen=True, eq=False)
class _Joint:
    """Vectors of several layers, put side by side for the rows that are asked for: all of them fill no memory."""

    parts: Sequence[Array]

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, rows: Array) -> Array:
        return side_by_side([part[rows] for part in self.parts])


def living(vectors: Array) -> Array:
    """Which rows are not all zero: the others have no direction."""
    return np.fromiter((bool(row.any()) for row in vectors), bool, len(vectors))


def collect_together(
    layers: Sequence[AtlasLayer],
    pictures: Pictures,
    *,
    out: Path,
    positions: int | str,
    seed: int,
    batch: int | None = None,
    fresh: bool = False,
    progress: RunProgressCallback | None = None,
    executor: Callable[[Model], Executor] | None = None,
) -> Together:
    """The activations of all layers at the same places: one pass for each network, below `out`.

    Places of several are inner positions of the smallest map, and found again in the others: as many a picture in each.

    Raises:
        BadInput, NotFound, OSError: as `collect`; a picture that one network alone can be shown.
    """
    reducer, maps = Positions(positions, seed=seed), []
    for layer in layers:
        shape = layer.model.shapes([layer.address], layer.model.input_size)[layer.address]
        Positions().arrays(layer.address, shape[1:])  # tells of a layer without maps
        maps.append(shape[2:])
    if len(layers) > 1:
        frame = (min(height for height, _ in maps), min(width for _, width in maps))
        reducer = SharedPositions(positions, seed=seed, frame=frame)
    passes: dict[str, CollectedActivations] = {}
    found = []
    for layer in layers:
        own = next(other for other in layers if other.model is layer.model)
        if own.folder not in passes:
            passes[own.folder] = collect(
                own.model,
                picture_set(pictures, len(own.model.mean)),
                [other.address for other in layers if other.model is own.model],
                reducer,
                out=out / own.folder / "activations",
                batch=batch,
                fresh=fresh,
                progress=progress,
                executor=None if executor is None else executor(own.model),
            )
        found.append(passes[own.folder])
    everywhere = set(found[0].skipped).intersection(*(each.skipped for each in found))
    for name in [name for each in found for name in each.skipped if name not in everywhere]:
        raise BadInput(f"{name} can be shown to one of the networks only: leave it out")
    return Together(layers, found, reducer)
