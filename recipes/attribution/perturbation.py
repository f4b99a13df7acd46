"""Perturbation: what a target loses when parts of the picture are hidden, over given or random parts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from objectives import Objective
from recipes.attribution.ask import asking
from recipes.attribution.baselines import HELP as BASELINES
from recipes.attribution.baselines import baseline_of, check_baseline
from recipes.attribution.declaration import method
from recipes.attribution.masked import at_once, through_masks


def _check_square(*, size: int, stride: int, grey: float) -> None:
    if not 1 <= stride <= size or not 0 <= grey <= 1:
        raise ValueError(
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
        ValueError: for a square that covers the whole picture.
    """
    height, width = images.shape[2:]
    if size >= max(height, width):
        raise ValueError(
            f"a square of {size} pixels covers all of a picture of {height}x{width}: give occlusion:size=PIXELS"
        )
    with torch.no_grad(), asking(model, target) as score:
        whole = score(images)
    squares = _squares(images, size, stride, at_once(model, images))
    lost, times = torch.zeros_like(images[:, 0]), torch.zeros_like(images[0, 0])
    for kept, scores in through_masks(model, images, target, squares, torch.full_like(images, grey)):
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
    for group in places[order].to(images.device).split(count):
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


def _check_masks(*, masks: int, cells: int, keep: float, baseline: str) -> None:
    if masks < 2 or cells < 1 or not 0 < keep < 1:
        raise ValueError(
            f"rise takes at least 2 masks, at least 1 cell and keep between 0 and 1, got {masks}, {cells} and {keep:g}"
        )
    check_baseline(baseline=baseline)


@method(
    "rise",
    paper="Petsiuk et al. 2018",
    signed=True,
    check=_check_masks,
    help={
        "masks": "how many",
        "cells": "of a mask's grid, along each side",
        "keep": "probability that a cell is seen",
        "baseline": BASELINES,
    },
)
def rise(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    masks: int = 4000,
    cells: int = 7,
    keep: float = 0.5,
    baseline: str = "mean",
) -> Tensor:
    """How much higher than usual the score is where a pixel is seen: E[S(m x) | m(p) = 1] - E[S(m x)] (eq. 3 and 6).

    The paper's map is E[S(m x) | m(p) = 1]. The mean that is taken off is the same for all pixels: without it, 0 would
    say nothing, and a logit's own level would drown the map.
    """
    drawn = random_masks(images, masks, cells, keep, seed, at_once(model, images))
    weighted, scores_sum = torch.zeros_like(images[:, 0]), torch.zeros_like(images[:, 0, 0, 0])
    seen, zero = torch.zeros_like(images[0, 0]), None
    for kept, scores in through_masks(model, images, target, drawn, baseline_of(model, images, baseline)):
        # From a level near their mean: sums of small numbers lose less to rounding.
        zero = scores.mean(1, keepdim=True) if zero is None else zero
        weighted += torch.einsum("bn,nhw->bhw", scores - zero, kept)
        scores_sum += (scores - zero).sum(1)
        seen += kept.sum(0)
    return weighted / seen.clamp_min(1e-6) - (scores_sum / masks)[:, None, None]


def random_masks(images: Tensor, masks: int, cells: int, keep: float, seed: int, count: int) -> Iterator[Tensor]:
    """RISE's masks (n, H, W) in [0, 1], n <= count: random grids of zeros and ones, enlarged and shifted by part of a
    cell (section 3.2). They are drawn group by group, from the seed alone.
    """
    height, width = images.shape[2:]
    generator = torch.Generator().manual_seed(seed)
    grids = (torch.rand(masks, cells, cells, generator=generator) < keep).to(images)
    cell_y, cell_x = math.ceil(height / cells), math.ceil(width / cells)
    tops = torch.randint(cell_y, (masks,), generator=generator).tolist()
    lefts = torch.randint(cell_x, (masks,), generator=generator).tolist()
    for first in range(0, masks, count):
        part = slice(first, first + count)
        size = ((cells + 1) * cell_y, (cells + 1) * cell_x)
        large = F.interpolate(grids[part, None], size, mode="bilinear", align_corners=False)[:, 0]
        places = zip(large, tops[part], lefts[part], strict=True)
        yield torch.stack([mask[top : top + height, left : left + width] for mask, top, left in places])
