"""Tiles at random positions of a picture of any size, padded by reflection."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

JITTER = 32
"""Largest shift in pixels of a picture that fits into one tile."""


def cuts(side: int, tile: int) -> Iterator[tuple[int, int]]:
    """Cuts a side into as few nearly equal pieces as possible.

    Args:
        side: in pixels.
        tile: length of a piece in pixels, at most.

    Yields:
        (start, stop) of each piece.

    Example:
        >>> list(cuts(10, 4))
        [(0, 3), (3, 6), (6, 10)]
    """
    count = math.ceil(side / tile)
    for i in range(count):
        yield i * side // count, (i + 1) * side // count


def reach(side: int, tile: int) -> int:
    """Padding of a side in pixels, which lets its cuts move: half a tile, or `JITTER` if one tile covers it all."""
    return JITTER if side + JITTER <= tile else tile // 2


def shortest(side: int, tile: int) -> int:
    """The length of the shortest piece of a padded side."""
    longer = side + reach(side, tile)
    return longer // math.ceil(longer / tile)


def shifted_cuts(side: int, tile: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """The cuts of a padded side, which begins at a random position up to `reach` before 0 and ends beyond `side`."""
    more = reach(side, tile)
    before = int(torch.randint(more + 1, (1,), generator=generator))
    return [(start - before, stop - before) for start, stop in cuts(side + more, tile)]


def mirrored(start: int, stop: int, side: int) -> Tensor:
    """Indices of a padded side: positions before 0, and from `side` on, are reflected.

    Args:
        start: first position.
        stop: the position after the last one.
        side: in pixels.

    Returns:
        (stop - start,), each in [0, side).

    Example:
        >>> mirrored(-2, 6, 4).tolist()
        [2, 1, 0, 1, 2, 3, 2, 1]
    """
    period = max(2 * (side - 1), 1)
    positions = torch.arange(start, stop) % period
    return torch.minimum(positions, period - positions)


def by_tiles(picture: Tensor, function: Callable[[Tensor], Tensor], tile: int, generator: torch.Generator) -> Tensor:
    """Applies a function to a picture tile by tile; only one tile and its result are in memory at a time.

    Args:
        picture: (1, C, H, W).
        function: maps a tile (1, C, h, w) with h, w <= `tile` to a tensor of the same shape.
        tile: largest side of a tile in pixels.
        generator: of the positions of the tiles (CPU).

    Returns:
        (1, C, H, W), without the results for the padding.

    Example:
        >>> double = by_tiles(torch.ones(1, 3, 70, 90), lambda part: 2 * part, 48, torch.Generator())
        >>> double.shape, double.unique().item()
        (torch.Size([1, 3, 70, 90]), 2.0)
    """
    height, width = picture.shape[2:]
    result = torch.empty_like(picture)
    rows, columns = shifted_cuts(height, tile, generator), shifted_cuts(width, tile, generator)
    for top, bottom in rows:
        band = picture[:, :, mirrored(top, bottom, height).to(picture.device)]
        for left, right in columns:
            result[:, :, max(top, 0) : bottom, max(left, 0) : right] = function(
                band[:, :, :, mirrored(left, right, width).to(picture.device)]
            )[:, :, max(-top, 0) : height - top, max(-left, 0) : width - left]
    return result
