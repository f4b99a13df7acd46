"""Occlusion: what a target loses when a square of the picture is hidden."""

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
        "size": "side of the square, in pixels",
        "stride": "pixels from one square to the next",
        "grey": "of the square, from 0 (black) to 1 (white)",
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
    """What the score loses behind a grey square, S(x) - S(x with the square), as a mean over those that cover a pixel.

    Raises:
        BadInput: for a square that covers the whole picture.
    """
    height, width = images.shape[2:]
    if size >= max(height, width):
        raise BadInput(
            f"a square of {size} pixels covers all of a picture of {height}x{width}: give occlusion:size=PIXELS"
        )
    with torch.no_grad(), score_function(model, target) as score:
        whole = score(images)
    squares = _squares(images, size, stride, masks_at_once(model, images))
    lost, times = torch.zeros_like(images[:, 0]), torch.zeros_like(images[0, 0])
    for kept, scores in score_masked(model, images, target, squares, torch.full_like(images, grey)):
        lost += torch.einsum("bn,nhw->bhw", whole[:, None] - scores, 1 - kept)
        times += (1 - kept).sum(0)
    return lost / times


def _squares(images: Tensor, size: int, stride: int, count: int) -> Iterator[Tensor]:
    """Masks (n, H, W), n <= count, each 0 in a square: side by side from corner to corner, the last ones at the border.

    They come strewn over the picture, so that the first group stands for all.
    """
    height, width = images.shape[2:]
    tops, lefts = _starts(height, size, stride), _starts(width, size, stride)
    places = torch.cartesian_prod(torch.tensor(tops), torch.tensor(lefts))
    apart = math.ceil(len(places) / count)
    order = torch.cat([torch.arange(first, len(places), apart) for first in range(apart)])
    y, x = (torch.arange(side, device=images.device) for side in (height, width))
    even = math.ceil(len(places) / apart)  # a rest of one would have the network prepared for another size
    for group in places[order].to(images.device).split(even):
        top, left = group[:, :1], group[:, 1:]
        rows, columns = (y >= top) & (y < top + size), (x >= left) & (x < left + size)
        yield 1 - (rows[:, :, None] & columns[:, None, :]).to(images.dtype)


def _starts(side: int, size: int, stride: int) -> list[int]:
    """Where squares begin along one side, the last of them flush with its end.

    Example:
        >>> _starts(10, 4, 4)
        [0, 4, 6]
    """
    last = max(side - size, 0)
    return sorted({*range(0, last + 1, stride), last})
