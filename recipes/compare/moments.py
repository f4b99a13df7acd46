"""Sums and second moments of activations in float64, by parts of the pictures, read from disk a block at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

PARTS = 4
"""Parts of the pictures: picture i of the set is in part i % PARTS, with all its rows."""
BLOCK = 256
"""Pictures that are read together, a multiple of PARTS."""


@dataclass(frozen=True)
class Moments:
    """Sums over n rows of two sets of features, x of p and y of q features; of one set, both are the same.

    Attributes:
        count: n.
        x: sum of x, (p,).
        y: sum of y, (q,).
        xy: sum of x^T y, (p, q).
    """

    count: int
    x: Array
    y: Array
    xy: Array

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.x + other.x, self.y + other.y, self.xy + other.xy)

    @property
    def flipped(self) -> Moments:
        """The same with x and y exchanged."""
        return Moments(self.count, self.y, self.x, self.xy.T)

    def about(self, x: Array | float, y: Array | float) -> Array:
        """The sum of (x_i - x)^T (y_i - y) over the rows, (p, q).

        Args:
            x: a point (p,).
            y: a point (q,).
        """
        x, y = np.broadcast_to(x, self.x.shape), np.broadcast_to(y, self.y.shape)
        # In place: of wide layers, these are the largest arrays there are.
        found = self.xy - np.outer(self.x, y)
        found -= np.outer(x, self.y)
        found += self.count * np.outer(x, y)
        return found

    @property
    def centred(self) -> Array:
        """The sum of (x_i - mean)^T (y_i - mean), (p, q)."""
        return self.about(self.x / self.count, self.y / self.count)


def moments(first: Array, second: Array | None = None) -> list[Moments]:
    """The moments of two layers' activations, for each part of the pictures.

    Args:
        first: (N, k, p), for N pictures with k rows each; it may be memory-mapped.
        second: (N, k, q); None for those of one layer with itself.

    Returns:
        One for each of the PARTS.
    """
    second = first if second is None else second
    found: list[list[Moments]] = [[] for _ in range(PARTS)]
    for start in range(0, len(first), BLOCK):
        for part, (x, y) in enumerate(zip(*(_parts(each, start) for each in (first, second)), strict=True)):
            x64 = x.astype(np.float64)
            y64 = x64 if second is first else y.astype(np.float64)
            found[part].append(Moments(len(x64), x64.sum(0), y64.sum(0), x64.T @ y64))
            found[part] = [total(found[part])]
    return [total(each) for each in found]


def total(parts: Sequence[Moments]) -> Moments:
    """The moments of several parts together."""
    return reduce(Moments.__add__, parts)


def square_norms(rows: Array, centre: Array) -> Array:
    """The squared distance of each row from a centre.

    Args:
        rows: (N, k, p); it may be memory-mapped.
        centre: (p,).

    Returns:
        (N * k,), float64.
    """
    found = [((rows[start : start + BLOCK] - centre) ** 2).sum(2).ravel() for start in range(0, len(rows), BLOCK)]
    return np.concatenate(found)


def _parts(rows: Array, start: int) -> Iterator[Array]:
    block = np.asarray(rows[start : start + BLOCK])
    return (block[part::PARTS].reshape(-1, block.shape[2]) for part in range(PARTS))
