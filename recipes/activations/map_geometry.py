"""Where a layer's map lies over a picture, and which part of the picture a unit saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inverter import ReceptiveField
from recipes.activations.responses import PatchRecord


def window(field: ReceptiveField | None, seen: PatchRecord, size: tuple[int, int]) -> list[int]:
    """What the unit saw, [top, left, bottom, right] in pixels; the whole picture where no part of it stands out."""
    return [0, 0, *size] if field is None or seen.at is None else list(field.window(*seen.at, size))


@dataclass(frozen=True)
class Overlay:
    """How a layer's map lies over the picture.

    A unit stands in the middle of what it sees, and its cell is as wide as the stride; so a map may be smaller or
    larger than the picture.

    Attributes:
        shape: of the map, (rows, columns).
        corner: (y, x) of the map's upper left corner in the picture, in pixels.
        cell: (height, width) of one unit in pixels.
        rim: how many cells are added on each side, by repeating the last one, so that the map covers the picture.
    """

    shape: tuple[int, int]
    corner: tuple[float, float]
    cell: tuple[float, float]
    rim: int


def overlay(field: ReceptiveField | None, shape: Sequence[int], size: tuple[int, int]) -> Overlay:
    """How the map of a layer lies over pictures of `size`; where what its units see is unknown, it covers them just so.

    Args:
        field: what a unit of the layer sees.
        shape: of its activation of one picture, (C, H, W) or (C,).
    """
    rows, columns = shape[1:] if len(shape) == 3 else (1, 1)
    if field is None or math.isinf(field.size) or len(shape) != 3:
        return Overlay((rows, columns), (0.0, 0.0), (size[0] / rows, size[1] / columns), 1)
    cell = (field.y.stride, field.x.stride)
    corner = (field.y.centre - cell[0] / 2, field.x.centre - cell[1] / 2)
    ends = (corner[0] + rows * cell[0], corner[1] + columns * cell[1])
    free = max(0.0, *(start / side for start, side in zip(corner, cell, strict=True)))
    free = max(free, *((whole - end) / side for whole, end, side in zip(size, ends, cell, strict=True)))
    return Overlay((rows, columns), corner, cell, math.ceil(free) + 1)  # one more: browsers smooth across cells
