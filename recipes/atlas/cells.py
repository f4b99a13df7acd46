"""The map of an activation atlas: from a layout of activations to cells, each with a direction (Carter et al. 2019).

Arithmetic on arrays alone: no networks, no images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inverter_errors import BadInput

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell of a grid that has enough members.

    Attributes:
        row: from the top, counted from 0.
        column: from the left, counted from 0.
        members: indices of the activations in it, in ascending order.
    """

    row: int
    column: int
    members: Array


def unit_square(layout: Array, low: float = 1, high: float = 99, margin: float = 0.1) -> Array:
    """Pulls in the outliers of a layout and scales it to fill [0, 1] x [0, 1] (Carter et al. 2019).

    A few distant points would otherwise leave most of a grid empty. The defaults are the paper's.

    Args:
        layout: (N, 2), finite.
        low: lower percentile along each axis.
        high: upper percentile along each axis.
        margin: added on both sides, as a share of the distance between the percentiles; points beyond it are clipped.

    Returns:
        The coordinates (N, 2), float64.

    Raises:
        BadInput: for another shape, or values that are not finite.

    Example:
        >>> unit_square(np.array([[0.0, 5.0], [1.0, 6.0], [2.0, 7.0]]), low=0, high=100).tolist()
        [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    """
    layout = np.asarray(layout, dtype=np.float64)
    if layout.ndim != 2 or layout.shape[1] != 2 or not len(layout):
        raise BadInput(f"expected a layout (N, 2), got shape {layout.shape}")
    if not np.isfinite(layout).all():
        raise BadInput("the layout has values that are not finite")
    first, last = np.percentile(layout, [low, high], axis=0)
    room = margin * (last - first)
    kept = np.clip(layout, first - room, last + room)
    kept -= kept.min(axis=0)
    extent = kept.max(axis=0)
    return np.divide(kept, extent, out=np.zeros_like(kept), where=extent > 0)


def cells(places: Array, grid: int, min_members: int) -> list[Cell]:
    """Bins points into the cells of a grid; returns those with enough members, row by row.

    Args:
        places: (N, 2), x and y in [0, 1]; the right and lower edges belong to the last column and row.
        grid: cells along each side.
        min_members: minimum number of points in a cell.

    Example:
        >>> cells(np.array([[0, 0], [1, 0.2], [0.9, 0]]), grid=2, min_members=2)
        [Cell(row=0, column=1, members=array([1, 2]))]
    """
    column, row = np.minimum((np.asarray(places) * grid).astype(int), grid - 1).T
    number = row * grid + column
    order = np.argsort(number, kind="stable")
    squares, starts = np.unique(number[order], return_index=True)
    parts = np.split(order, starts[1:])
    return [
        Cell(int(square) // grid, int(square) % grid, members)
        for square, members in zip(squares, parts, strict=True)
        if len(members) >= min_members
    ]


def mean_directions(vectors: Array, found: Sequence[Cell]) -> Array:
    """The mean activation of each cell, (cells, C) in float32, from activations (N, C)."""
    return np.stack([np.asarray(vectors[cell.members], dtype=np.float32).mean(axis=0) for cell in found])


def mean_activation(vectors: Array, kept: Array, rows: int = 1 << 14) -> Array:
    """The mean (C,) in float32 of some rows of activations (N, C); reads a memory-mapped array in chunks."""
    total = np.zeros(vectors.shape[1])
    for start in range(0, len(kept), rows):
        total += np.asarray(vectors[kept[start : start + rows]], dtype=np.float64).sum(axis=0)
    return (total / len(kept)).astype(np.float32)


def contrasts(directions: Array, average: Array, share: float = 0.8) -> Array:
    """What distinguishes directions v from the average activation m: |v| (v / |v| - share * m / |m|).

    Mean activations have much in common: the channels that are active in any picture. What they share draws no object
    and supports every class a little. Angles are compared, and a share below 1 keeps the result along v: v - m would
    point away from a v that is shorter than m.

    Args:
        directions: (cells, C).
        average: (C,).
        share: of the average's direction that is subtracted, in [0, 1).

    Returns:
        (cells, C), float32.

    Example:
        >>> contrasts(np.array([[0.0, 2.0]]), np.array([3.0, 0.0]), share=0.5).tolist()
        [[-1.0, 2.0]]
    """
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    size = np.linalg.norm(average)
    common = average / size if size > 0 else average
    return np.asarray(directions - share * length * common, dtype=np.float32)


def second_moment(vectors: Array, rows: int = 1 << 14) -> Array:
    """The second moment A^T A / N of activations A (N, C), (C, C) in float64; reads a memory-mapped array in chunks."""
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), rows):
        part = np.asarray(vectors[start : start + rows], dtype=np.float64)
        total += part.T @ part
    return total / len(vectors)


def whitened(directions: Array, moment: Array, ridge: float) -> Array:
    """Whitens directions v against correlated channels: inv(A^T A / N + ridge * s * I) v, scaled to the length of v.

    Otherwise channels that are always active together would dominate every icon (Carter et al. 2019, "whitening"). s is
    the mean square of a channel, so that one ridge suits every layer; a large ridge leaves directions unchanged.

    Args:
        directions: (cells, C).
        moment: A^T A / N, (C, C).
        ridge: > 0.

    Returns:
        (cells, C), float32.

    Raises:
        BadInput: for a ridge that is not above 0.

    Example:
        >>> whitened(np.array([[3.0, 4.0]]), np.diag([1.0, 1.0]), ridge=1.0).tolist()
        [[3.0, 4.0]]
    """
    if not ridge > 0:
        raise BadInput(f"ridge must be above 0, got {ridge!r}")
    channels = len(moment)
    size = np.trace(moment) / channels
    turned = np.linalg.solve(moment + ridge * size * np.eye(channels), np.asarray(directions, dtype=np.float64).T).T
    length = np.linalg.norm(turned, axis=1, keepdims=True)
    target = np.linalg.norm(directions, axis=1, keepdims=True)
    return (turned * np.divide(target, length, out=np.zeros_like(length), where=length > 0)).astype(np.float32)


def own_cell(activations: Array, means: Array, rows: Sequence[int]) -> tuple[Array, Array]:
    """How well icons represent their own cells.

    Args:
        activations: (B, C), of the icons.
        means: (cells, C), the mean directions of all cells.
        rows: of `means`, the own cell of each icon.

    Returns:
        The cosine to the direction of the own cell, and whether no other direction is nearer; both (B,).

    Example:
        >>> cosine, own = own_cell(np.array([[2.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]), [0, 1])
        >>> cosine.tolist(), own.tolist()
        ([1.0, 0.0], [True, False])
    """
    cosines = _unit(activations) @ _unit(means).T
    return cosines[np.arange(len(rows)), rows], cosines.argmax(axis=1) == np.asarray(rows)


def _unit(vectors: Array) -> Array:
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
