"""Tiles: a picture of any size shown to a network piece by piece, cut elsewhere each time, within its mirror image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

JITTER = 32
"""Largest shift in pixels of a picture that fits into one tile."""


def cuts(side: int, tile: int) -> Iterator[tuple[int, int]]:
    """A side cut into as few nearly equal pieces (start, stop) as possible, none longer than `tile`.

    Example:
        >>> list(cuts(10, 4))
        [(0, 3), (3, 6), (6, 10)]
    """
    count = math.ceil(side / tile)
    for i in range(count):
        yield i * side // count, (i + 1) * side // count


def reach(side: int, tile: int) -> int:
    """Pixels that lengthen a side so that its cuts can wander: half a tile, or a little where one tile shows all."""
    return JITTER if side + JITTER <= tile else tile // 2


def shortest(side: int, tile: int) -> int:
    """The length of the shortest piece of a lengthened side."""
    longer = side + reach(side, tile)
    return longer // math.ceil(longer / tile)


def shifted_cuts(side: int, tile: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """The cuts of a lengthened side, which begins at a random place up to `reach` before 0 and ends beyond `side`."""
    more = reach(side, tile)
    before = int(torch.randint(more + 1, (1,), generator=generator))
    return [(start - before, stop - before) for start, stop in cuts(side + more, tile)]


def mirrored(start: int, stop: int, side: int) -> Tensor:
    """Indices (stop - start,) into a side on which the places before 0 and from `side` on are its mirror image.

    Example:
        >>> mirrored(-2, 6, 4).tolist()
        [2, 1, 0, 1, 2, 3, 2, 1]
    """
    period = max(2 * (side - 1), 1)
    places = torch.arange(start, stop) % period
    return torch.minimum(places, period - places)


def by_tiles(picture: Tensor, function: Callable[[Tensor], Tensor], tile: int, generator: torch.Generator) -> Tensor:
    """`function` of a picture, computed tile by tile: only one tile, and what is made of it, is alive at a time.

    Args:
        picture: (1, C, H, W).
        function: tile (1, C, h, w) with h, w <= `tile` -> the same shape.
        generator: of the places of the cuts (CPU).

    Returns:
        (1, C, H, W). What `function` says of the mirror image around the picture is dropped.

    Example:
        >>> double = by_tiles(torch.ones(1, 3, 70, 90), lambda part: 2 * part, 48, torch.Generator())
        >>> double.shape, double.unique().item()
        (torch.Size([1, 3, 70, 90]), 2.0)
    """
    height, width = picture.shape[2:]
    whole = torch.empty_like(picture)
    rows, columns = shifted_cuts(height, tile, generator), shifted_cuts(width, tile, generator)
    for top, bottom in rows:
        band = picture[:, :, mirrored(top, bottom, height).to(picture.device)]
        for left, right in columns:
            whole[:, :, max(top, 0) : bottom, max(left, 0) : right] = function(
                band[:, :, :, mirrored(left, right, width).to(picture.device)]
            )[:, :, max(-top, 0) : height - top, max(-left, 0) : width - left]
    return whole
