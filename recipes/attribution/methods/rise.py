"""RISE: what a target gains where random masks let the picture be seen, at the least number of masks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.scoring.baselines import HELP as BASELINES
from recipes.attribution.scoring.baselines import baseline_image, check_baseline
from recipes.attribution.scoring.masked_scores import masks_at_once, score_masked

MOST_CELLS = 100
"""Along a side; a Sobol sequence has no more than 21,201 dimensions."""
FINER = 2
"""Numbers that stand for a mask in a fit, for each of its cells along a side."""


def _check(*, masks: int, cells: int, keep: float, baseline: str, fit: bool) -> None:
    if masks < 2 or not 1 <= cells <= MOST_CELLS or not 0 < keep < 1:
        raise BadInput(
            f"rise takes at least 2 masks, from 1 to {MOST_CELLS} cells and keep between 0 and 1, "
            f"got {masks}, {cells} and {keep:g}"
        )
    check_baseline(baseline=baseline)


@method(
    "rise",
    paper="Petsiuk et al. 2018",
    signed=True,
    check=_check,
    help={
        "masks": "how many",
        "cells": "of a mask's grid, along each side",
        "keep": "probability that a cell is seen",
        "baseline": BASELINES,
        "fit": "fit the scores, which takes fewer masks; false: their weighted mean, as in the paper",
    },
)
def rise(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    masks: int = 2048,
    cells: int = 7,
    keep: float = 0.5,
    baseline: str = "mean",
    fit: bool = True,
) -> Tensor:
    """How much higher than usual the score is where a pixel is seen: E[S(m x) | m(p) = 1] - E[S(m x)] (eq. 3 and 6).

    The paper's map is E[S(m x) | m(p) = 1]. The mean that is taken off is the same for all pixels: without it, 0 would
    say nothing, and a logit's own level would drown the map.

    What is looked for is Cov(m(p), S) / E[m(p)]. Few masks go together by chance, and the covariance that they show
    mixes up pixels. So S is fitted by what is seen of each place, S = c + sum of w_j m_j, and the covariance of masks
    among each other, which is known, does the rest: Cov(m(p), S) = sum of w_j Cov(m(p), m_j).
    """
    drawn = random_masks(images, masks, cells, keep, seed, masks_at_once(model, images))
    groups = score_masked(model, images, target, drawn, baseline_image(model, images, baseline))
    return fit_map(centred(groups), cells, keep) if fit else weighted_mean(centred(groups))


Scored = Iterable[tuple[Tensor, Tensor]]
"""Masks (n, H, W) and the scores (B, n) of all pictures behind them, group by group."""


def centred(scored: Scored) -> Scored:
    """Scores from a level near their mean: sums of small numbers lose less to rounding."""
    level = None
    for kept, scores in scored:
        level = scores.mean(1, keepdim=True) if level is None else level
        yield kept, scores - level


def weighted_mean(scored: Scored) -> Tensor:
    """The mean score, weighted by what is seen of a pixel, less the mean score, (B, H, W)."""
    weighted, seen, total, count = torch.zeros(()), torch.zeros(()), torch.zeros(()), 0
    for kept, scores in scored:
        weighted = weighted + torch.einsum("bn,nhw->bhw", scores, kept)
        seen, total, count = seen + kept.sum(0), total + scores.sum(1), count + len(kept)
    return weighted / seen.clamp_min(1e-6) - (total / count)[:, None, None]


def fit_map(scored: Scored, cells: int, keep: float) -> Tensor:
    """The same for what a fit by FINER x cells squares a side makes of the scores, (B, H, W)."""
    rows = []
    for kept, scores in scored:
        size = min(kept.shape[1], FINER * cells), min(kept.shape[2], FINER * cells)
        squares = F.adaptive_avg_pool2d(kept, size).flatten(1)
        rows.append((squares, scores.T))
    seen, scores = (torch.cat(parts) for parts in zip(*rows, strict=True))
    weights = ridge(seen, scores).T.unflatten(1, size)
    down, across = (
        F.adaptive_avg_pool1d(covariance(side, cells).to(weights), squares)
        for side, squares in zip(kept.shape[1:], size, strict=True)
    )
    return (1 - keep) * torch.einsum("yi,bij,xj->byx", down, weights, across)


def covariance(side: int, cells: int) -> Tensor:
    """Along one side, how masks vary together: Cov(m(p), m(q)) = keep (1 - keep) C(p_y, q_y) C(p_x, q_x), (side, side).

    Example:
        >>> covariance(2, 1)  # one cell is all there is
        tensor([[1., 1.],
                [1., 1.]])
    """
    cell = math.ceil(side / cells)
    hats = F.interpolate(torch.eye(cells)[:, None], (cells + 1) * cell, mode="linear", align_corners=False)[:, 0]
    shifted = hats.unfold(1, side, 1)[:, :cell]  # what each cell adds at each shift, (cells, shifts, side)
    return torch.einsum("csp,csq->pq", shifted, shifted) / cell


def ridge(seen: Tensor, scores: Tensor) -> Tensor:
    """w of the fit scores = c + seen w, argmin |scores - c - seen w|^2 + l |w|^2, for each column of scores: (d, B).

    l is what generalised cross-validation finds (Golub et al. 1979).

    Args:
        seen: (n, d). scores: (n, B).
    """
    x, y = (part.cpu().double() for part in (seen, scores))  # in this order: some accelerators have no float64
    x, y = x - x.mean(0), y - y.mean(0)
    left, values, right = torch.linalg.svd(x, full_matrices=False)
    turned, power = left.T @ y, values.square()
    rates = power.max() * torch.logspace(-5, 1, 40, dtype=power.dtype)[:, None]
    share = power / (power + rates)  # of each direction that is fitted, (L, r)
    missed = y.square().sum(0) - (1 - (1 - share).square()) @ turned.square()  # (L, B)
    best = (missed / (len(x) - 1 - share.sum(1, keepdim=True)).square()).argmin(0)
    return (right.T @ ((share[best] / values.clamp_min(1e-12)).T * turned)).to(scores)


def random_masks(images: Tensor, masks: int, cells: int, keep: float, seed: int, count: int) -> Iterator[Tensor]:
    """RISE's masks (n, H, W) in [0, 1], n <= count: random grids of zeros and ones, enlarged and shifted by part of a
    cell (section 3.2). They are made group by group, from the seed alone.

    A Sobol sequence draws cells and shifts (Owen's scrambling): each mask is what it would be by pure chance, but all
    of them together are more even.
    """
    drawn = torch.quasirandom.SobolEngine(cells * cells + 2, scramble=True, seed=seed).draw(masks)
    return place_masks(drawn.to(images.device), (images.shape[2], images.shape[3]), cells, keep, count)


def place_masks(drawn: Tensor, size: tuple[int, int], cells: int, keep: float, count: int) -> Iterator[Tensor]:
    """Masks from numbers in [0, 1), one for each cell and two for the shift: (masks, cells * cells + 2)."""
    height, width = size
    cell_y, cell_x = math.ceil(height / cells), math.ceil(width / cells)
    grids = (drawn[:, :-2] < keep).unflatten(1, (cells, cells)).float()
    # All at once: asked group by group, the host would wait for a GPU each time.
    corners = (drawn[:, -2:] * torch.tensor([cell_y, cell_x], device=drawn.device)).long().tolist()
    for part, first in zip(grids.split(count), range(0, len(corners), count), strict=True):
        whole = (cells + 1) * cell_y, (cells + 1) * cell_x
        large = F.interpolate(part[:, None], whole, mode="bilinear", align_corners=False)[:, 0]
        shifted = zip(large, corners[first : first + count], strict=True)
        yield torch.stack([mask[top : top + height, left : left + width] for mask, (top, left) in shifted])
