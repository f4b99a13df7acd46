"""Occlusion: the drop of the score when a square of the image is covered."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from inverter import Model
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.scoring.forward import score_function
from recipes.attribution.scoring.masked_scores import masks_at_once, score_masked

SIDE = 1 / 7
"""Default side of the square, as a share of the image's shorter side: 32 of 224 pixels."""
STRIDE = 8
"""Default distance of neighbouring squares in pixels; of small squares it is a quarter of their side."""


def _check_square(*, size: int | None, stride: int | None, grey: float) -> None:
    if (size is not None and size < 1) or not 0 <= grey <= 1 or (stride is not None and stride < 1):
        raise BadInput(
            "occlusion takes a size of at least 1, a stride from 1 to the size and a grey from 0 to 1, "
            f"got {size}, {stride} and {grey:g}"
        )
    if size is not None:
        _check_stride(size, stride)


def _check_stride(size: int, stride: int | None) -> None:
    if stride is not None and stride > size:
        raise BadInput(
            f"occlusion takes a stride from 1 to the size, so that squares leave no gaps, got size {size} and stride "
            f"{stride}: set occlusion:size=PIXELS,stride=PIXELS"
        )


@method(
    "occlusion",
    paper="Zeiler & Fergus 2014",
    signed=True,
    check=_check_square,
    help={
        "size": "side of the square in pixels (default: a seventh of the image's shorter side, 32 of 224)",
        "stride": "distance of neighbouring squares in pixels (default: 8, at most a quarter of the size)",
        "grey": "grey level of the square, from 0 (black) to 1 (white); the default is 128/255",
    },
)
def occlusion(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    size: int | None = None,
    stride: int | None = None,
    grey: float = 128 / 255,
) -> Tensor:
    """Occlusion (Zeiler & Fergus 2014): the drop S(x) - S(x with a grey square), a mean over the squares on a pixel.

    Raises:
        BadInput: for a square that covers the entire image, or squares that leave gaps.
    """
    height, width = images.shape[2:]
    size = max(1, round(SIDE * min(height, width))) if size is None else size
    _check_stride(size, stride)
    stride = min(STRIDE, max(1, size // 4)) if stride is None else stride
    if size >= max(height, width):
        raise BadInput(
            f"a square of {size} pixels covers an entire image of {height}x{width}: set occlusion:size=PIXELS"
        )
    with torch.no_grad(), score_function(model, target) as score:
        full = score(images)
    squares = _squares(images, size, stride, masks_at_once(model, images))
    drops, counts = torch.zeros_like(images[:, 0]), torch.zeros_like(images[0, 0])
    for kept, scores in score_masked(model, images, target, squares, torch.full_like(images, grey)):
        drops += torch.einsum("bn,nhw->bhw", full[:, None] - scores, 1 - kept)
        counts += (1 - kept).sum(0)
    return drops / counts


def _squares(images: Tensor, size: int, stride: int, count: int) -> Iterator[Tensor]:
    """Masks (n, H, W), n <= count, each 0 in a square; the squares form a grid, the last ones flush with the border.

    Their order is interleaved over the image, so that the first group is representative of all.
    """
    height, width = images.shape[2:]
    tops, lefts = _starts(height, size, stride), _starts(width, size, stride)
    corners = torch.cartesian_prod(torch.tensor(tops), torch.tensor(lefts))
    groups = math.ceil(len(corners) / count)
    order = torch.cat([torch.arange(first, len(corners), groups) for first in range(groups)])
    y, x = (torch.arange(side, device=images.device) for side in (height, width))
    even = math.ceil(len(corners) / groups)  # a remainder of one would make backends prepare for another batch size
    for group in corners[order].to(images.device).split(even):
        top, left = group[:, :1], group[:, 1:]
        rows, columns = (y >= top) & (y < top + size), (x >= left) & (x < left + size)
        yield 1 - (rows[:, :, None] & columns[:, None, :]).to(images.dtype)


def _starts(side: int, size: int, stride: int) -> list[int]:
    """The starts of squares along one side, the last square flush with its end.

    Example:
        >>> _starts(10, 4, 4)
        [0, 4, 6]
    """
    last = max(side - size, 0)
    return sorted({*range(0, last + 1, stride), last})
