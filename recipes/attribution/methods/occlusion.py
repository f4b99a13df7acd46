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


def _check_square(*, size: int, stride: int, grey: float) -> None:
    if not 1 <= stride <= size or not 0 <= grey <= 1:
        raise BadInput(
            "occlusion takes a size of at least 1, a stride from 1 to the size and a grey from 0 to 1, "
            f"got {size}, {stride} and {grey:g}"
        )


@method(
    "occlusion",
    paper="Zeiler & Fergus 2014",
    signed=True,
    check=_check_square,
    help={
        "size": "side of the square in pixels",
        "stride": "distance between neighbouring squares in pixels",
        "grey": "grey level of the square, from 0 (black) to 1 (white)",
    },
)
def occlusion(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    size: int = 128,
    stride: int = 8,
    grey: float = 0.5,
) -> Tensor:
    """Occlusion (Zeiler & Fergus 2014): the drop S(x) - S(x with a grey square), a mean over the squares on a pixel.

    Raises:
        BadInput: for a square that covers the entire image.
    """
    height, width = images.shape[2:]
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
