"""How a layer's map lies over a picture, and which part of the picture a unit's receptive field covers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import ReceptiveField
from recipes.activations.responses import PatchRecord


def window(field: ReceptiveField | None, record: PatchRecord, size: tuple[int, int]) -> list[int]:
    """The receptive field at a position, [top, left, bottom, right] in pixels; the full picture if there is none."""
    return [0, 0, *size] if field is None or record.at is None else list(field.window(*record.at, size))


def covered(maps: Tensor, part: Sequence[int], size: tuple[int, int]) -> Tensor:
    """The positions of maps that lie in a part of the picture.

    Args:
        maps: (..., h, w), over all of the picture.
        part: top, left, bottom, right in pixels.
        size: (height, width) of the picture in pixels.

    Example:
        >>> covered(torch.arange(16).reshape(4, 4), (0, 4, 2, 8), (8, 8)).tolist()
        [[2, 3]]
    """
    (top, left, bottom, right), (height, width) = part, maps.shape[-2:]
    down = slice(top * height // size[0], -(-bottom * height // size[0]))
    return maps[..., down, left * width // size[1] : -(-right * width // size[1])]


@dataclass(frozen=True)
class Overlay:
    """How a layer's map lies over the picture.

    Each position of the map is drawn at the centre of its receptive field, in a cell as wide as the stride; so a map
    may be smaller or larger than the picture.

    Attributes:
        shape: (rows, columns) of the map.
        corner: (y, x) of the map's upper left corner in the picture, in pixels.
        cell: (height, width) of one position's cell, in pixels.
        rim: cells added on each side, by repeating the outermost one, so that the map covers the picture.
    """

    shape: tuple[int, int]
    corner: tuple[float, float]
    cell: tuple[float, float]
    rim: int


def overlay(field: ReceptiveField | None, shape: Sequence[int], size: tuple[int, int]) -> Overlay:
    """How the map of a layer lies over a picture; if the receptive field is unknown, it is stretched over the picture.

    Args:
        field: receptive field of the layer's units; None if it is unknown.
        shape: of the layer's activation of one picture, (C, H, W) or (C,).
        size: (height, width) of the picture, in pixels.
    """
    rows, columns = shape[1:] if len(shape) == 3 else (1, 1)
    if field is None or math.isinf(field.size) or len(shape) != 3:
        return Overlay((rows, columns), (0.0, 0.0), (size[0] / rows, size[1] / columns), 1)
    cell = (field.y.stride, field.x.stride)
    corner = (field.y.centre - cell[0] / 2, field.x.centre - cell[1] / 2)
    ends = (corner[0] + rows * cell[0], corner[1] + columns * cell[1])
    free = max(0.0, *(start / side for start, side in zip(corner, cell, strict=True)))
    free = max(free, *((extent - end) / side for extent, end, side in zip(size, ends, cell, strict=True)))
    return Overlay((rows, columns), corner, cell, math.ceil(free) + 1)  # one more: browsers smooth across cells


def laid_over(maps: Tensor, where: Overlay, size: tuple[int, int]) -> Tensor:
    """A layer's maps at the pixels of the picture that they lie over, interpolated between the centres of positions.

    Args:
        maps: (N, h, w).
        where: they lie, from `overlay`.
        size: (height, width) of the picture, in pixels.

    Returns:
        (N, height, width) float32; beyond the outermost centres, the outermost values.

    Example:
        >>> laid_over(torch.tensor([[[0.0, 1.0]]]), Overlay((1, 2), (0.0, 0.0), (2.0, 4.0), 1), (1, 8))[0, 0].tolist()
        [0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0]
    """
    axes = [
        2 * (torch.arange(side) + 0.5 - corner) / (cell * count) - 1
        for side, corner, cell, count in zip(size, where.corner, where.cell, where.shape, strict=True)
    ]
    y, x = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack([x, y], -1)[None].float()
    return F.grid_sample(maps[None].float(), grid, padding_mode="border", align_corners=False)[0]
