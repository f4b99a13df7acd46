"""Aligned atlases: activations of several layers, or networks, at the same positions of the same images, on one map."""

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


def joint_vectors(parts: Sequence[Array]) -> Array:
    """Concatenates the activations of several layers at the same N positions, each normalised to unit length.

    The cosine distance of two such vectors is the mean of the layers' own distances, d = (d1 + d2 + ...) / n. Positions
    lie close to each other in the layout if their activations are similar in all layers.

    Args:
        parts: (N, C1), (N, C2), ...; no row is all zero.

    Returns:
        (N, C1 + C2 + ...), float32.

    Example:
        >>> joint = joint_vectors([np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[2.0], [1.0]])])
        >>> round(float(joint[0] @ joint[1] / 2), 3)  # (.6 + 1) / 2
        0.8
    """
    units = [np.asarray(part, dtype=np.float32) for part in parts]
    return np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in units], axis=1)


@dataclass(frozen=True, eq=False)
class JointActivations:
    """The activations of one or several layers at the same positions: row i is the same position in each of them.

    Attributes:
        layers: of the atlases.
        found: the activations of each layer.
        reducer: the reducer that sampled the positions.
    """

    layers: Sequence[AtlasLayer]
    found: Sequence[CollectedActivations]
    reducer: Positions

    def of(self, layer: AtlasLayer) -> CollectedActivations:
        """The activations of one of the layers."""
        return self.found[self.layers.index(layer)]

    @cached_property
    def nonzero(self) -> Array:
        """Indices (M,) of the positions where no layer's activation is all zero, in ascending order."""
        each = [
            nonzero_rows(found.vectors(layer.address)) for layer, found in zip(self.layers, self.found, strict=True)
        ]
        return np.flatnonzero(np.logical_and.reduce(each))

    def vectors(self) -> Rows:
        """The vectors to lay out: the activations of one layer, or the `joint_vectors` of several."""
        parts = [found.vectors(layer.address) for layer, found in zip(self.layers, self.found, strict=True)]
        return parts[0] if len(parts) == 1 else _JointRows(parts)

    def about(self) -> dict[str, Any]:
        """The layers as JSON."""
        known = [(layer.address, layer.model) for layer in self.layers]
        if len(known) == 1:
            return {"layer": known[0][0], "model": known[0][1].sha256}
        described = [
            {"layer": layer, "model": model.sha256, "mean": list(model.mean), "std": list(model.std)}
            for layer, model in known
        ]
        return {"layers": described}


@dataclass(frozen=True, eq=False)
class _JointRows:
    """The joint vectors of several layers, computed for the indexed rows only: they are never all in memory."""

    parts: Sequence[Array]

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, rows: Array) -> Array:
        return joint_vectors([part[rows] for part in self.parts])


def nonzero_rows(vectors: Array) -> Array:
    """The rows of vectors (N, C) that are not all zero, as a mask (N,): the others have no direction."""
    return np.fromiter((bool(row.any()) for row in vectors), bool, len(vectors))


def collect_joint(
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
) -> JointActivations:
    """Collects the activations of all layers at the same positions, in one pass per network.

    With several layers, inner positions of the smallest feature map are sampled; in the others, the position that
    contains the same point of the image is taken. So each layer has the same number per image.

    Args:
        layers: of the atlases.
        pictures: the images.
        out: output folder; the activations are stored below it.
        positions: sampled from each feature map: "all", "one", or a number.
        seed: of the random draws.
        batch: images per forward pass; None chooses by the device.
        fresh: start over.
        progress: called with a `RunProgress`, in images.
        executor: returns the executor of a network's forward passes; None runs them in this process.

    Raises:
        BadInput: as `collect`, and for an image that only one of the networks can take.
        NotFound: as `collect`.
        OSError: as `collect`.
    """
    reducer, maps = Positions(positions, seed=seed), []
    for layer in layers:
        shape = layer.model.shapes([layer.address], layer.model.input_size)[layer.address]
        Positions().arrays(layer.address, shape[1:])  # rejects a layer without feature maps
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
                picture_set(pictures, len(own.model.mean), own.model.value_range),
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
        raise BadInput(f"{name} can be shown to only one of the networks: leave it out")
    return JointActivations(layers, found, reducer)
