"""The map of an activation atlas: from a layout of activations to cells, each with a direction (Carter et al. 2019).

Plain arithmetic on arrays; nothing here knows of a network or a picture.
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
    """A square of a grid that has enough members.

    Attributes:
        row, column: its place in the grid, from the top left.
        members: indices of the activations in it, rising.
    """

    row: int
    column: int
    members: Array


def unit_square(layout: Array, low: float = 1, high: float = 99, margin: float = 0.1) -> Array:
    """A layout with its outliers pulled in, scaled to fill [0, 1] x [0, 1] (Carter et al. 2019: 1, 99 and 10 %).

    A few far points would otherwise leave most of a grid empty.

    Args:
        layout: (N, 2), finite.
        low, high: percentiles along each axis.
        margin: of their distance, which is left on both sides; what lies beyond it moves to its edge.

    Raises:
        BadInput: for another shape, or numbers that are not finite.

    Example:
        >>> unit_square(np.array([[0.0, 5.0], [1.0, 6.0], [2.0, 7.0]]), low=0, high=100).tolist()
        [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    """
    layout = np.asarray(layout, dtype=np.float64)
    if layout.ndim != 2 or layout.shape[1] != 2 or not len(layout):
        raise BadInput(f"expected a layout (N, 2), got shape {layout.shape}")
    if not np.isfinite(layout).all():
        raise BadInput("the layout holds numbers that are not finite")
    first, last = np.percentile(layout, [low, high], axis=0)
    room = margin * (last - first)
    kept = np.clip(layout, first - room, last + room)
    kept -= kept.min(axis=0)
    extent = kept.max(axis=0)
    return np.divide(kept, extent, out=np.zeros_like(kept), where=extent > 0)


def cells(places: Array, grid: int, least: int) -> list[Cell]:
    """The squares of a `grid` x `grid` with at least `least` members, row by row.

    Args:
        places: (N, 2), x and y in [0, 1]; the right and lower edges belong to the last column and row.

    Example:
        >>> cells(np.array([[0, 0], [1, 0.2], [0.9, 0]]), grid=2, least=2)
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
        if len(members) >= least
    ]


def mean_directions(vectors: Array, found: Sequence[Cell]) -> Array:
    """The mean activation of each cell, (cells, C) in float32, from activations (N, C)."""
    return np.stack([np.asarray(vectors[cell.members], dtype=np.float32).mean(axis=0) for cell in found])


def second_moment(vectors: Array, rows: int = 1 << 14) -> Array:
    """A^T A / N of activations A (N, C), as (C, C) in float64; a memory-mapped array is read part by part."""
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), rows):
        part = np.asarray(vectors[start : start + rows], dtype=np.float64)
        total += part.T @ part
    return total / len(vectors)


def whitened(directions: Array, moment: Array, ridge: float) -> Array:
    """Directions against the correlation of channels: inv(A^T A / N + ridge * s * I) v, at the length of v.

    Channels that always fire together would otherwise look alike in every icon (Carter et al. 2019, "whitening"). s is
    the mean square of a channel, so that one ridge suits every layer; a large one leaves directions as they are.

    Args:
        directions: (cells, C). moment: A^T A / N, (C, C). ridge: > 0.

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
    wanted = np.linalg.norm(directions, axis=1, keepdims=True)
    return (turned * np.divide(wanted, length, out=np.zeros_like(length), where=length > 0)).astype(np.float32)


def own_cell(seen: Array, means: Array, rows: Sequence[int]) -> tuple[Array, Array]:
    """How well icons show their cells: cosine to the own direction, and whether no other is nearer; both (B,).

    Args:
        seen: (B, C) activations of the icons. means: (cells, C) directions of all cells. rows: B cells, the icons' own.

    Example:
        >>> cosine, own = own_cell(np.array([[2.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]), [0, 1])
        >>> cosine.tolist(), own.tolist()
        ([1.0, 0.0], [True, False])
    """
    cosines = _unit(seen) @ _unit(means).T
    return cosines[np.arange(len(rows)), rows], cosines.argmax(axis=1) == np.asarray(rows)


def _unit(vectors: Array) -> Array:
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
