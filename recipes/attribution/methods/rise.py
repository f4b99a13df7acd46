"""RISE: the score of randomly masked images, averaged by what the masks show, with as few masks as possible."""

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
from recipes.attribution.scoring.baselines import BASELINE_HELP, Baseline, baseline_image, check_baseline
from recipes.attribution.scoring.masked_scores import masks_at_once, score_masked

MOST_CELLS = 100
"""Largest number of cells along a side; a Sobol sequence has at most 21,201 dimensions."""
FINER = 2
"""Regressors per mask cell along a side, in the fit."""


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
        "masks": "number of random masks",
        "cells": "resolution of a mask along each side",
        "keep": "probability that a cell is visible",
        "baseline": BASELINE_HELP,
        "fit": "regress the scores on the masks, which needs fewer of them; false: weighted mean, as in the paper",
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
    baseline: Baseline = "mean",
    fit: bool = True,
) -> Tensor:
    """RISE (Petsiuk et al. 2018, eq. 3 and 6): M(p) = E[S(m x) | m(p) = 1] - E[S(m x)].

    The paper's map is E[S(m x) | m(p) = 1]. Subtracting the mean, which is the same for all pixels, makes 0 neutral and
    removes the offset of a logit.

    The map equals Cov(m(p), S) / E[m(p)]. The sample covariance of few masks is noisy, because masks are correlated by
    coincidence. With `fit`, a ridge regression S = c + sum_j w_j m_j is combined with the known covariance of the masks
    instead: Cov(m(p), S) = sum_j w_j Cov(m(p), m_j).
    """
    drawn = random_masks(images, masks, cells, keep, seed, masks_at_once(model, images))
    groups = score_masked(model, images, target, drawn, baseline_image(model, images, baseline))
    return fit_map(centred(groups), cells, keep) if fit else weighted_mean(centred(groups))


MaskScores = Iterable[tuple[Tensor, Tensor]]
"""Masks (n, H, W) and the scores (B, n) of all masked images, group by group."""


def centred(scored: MaskScores) -> MaskScores:
    """Scores minus the mean of the first group, so that sums lose less to rounding."""
    offset = None
    for kept, scores in scored:
        offset = scores.mean(1, keepdim=True) if offset is None else offset
        yield kept, scores - offset


def weighted_mean(scored: MaskScores) -> Tensor:
    """The mean score weighted by a pixel's visibility, minus the mean score, (B, H, W)."""
    weighted, seen, total, count = *torch.zeros(3, dtype=torch.float32), 0
    for kept, scores in scored:
        weighted = weighted + torch.einsum("bn,nhw->bhw", scores, kept)
        seen, total, count = seen + kept.sum(0), total + scores.sum(1), count + len(kept)
    return weighted / seen.clamp_min(1e-6) - (total / count)[:, None, None]


def fit_map(scored: MaskScores, cells: int, keep: float) -> Tensor:
    """The same map (B, H, W) from a regression of the scores on the masks, averaged to FINER x cells squares a side."""
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
    """The factor C of the masks' covariance along one side, (side, side).

    Cov(m(p), m(q)) = keep (1 - keep) C(p_y, q_y) C(p_x, q_x).

    Args:
        side: pixels along the side.
        cells: resolution of the masks along the side.

    Example:
        >>> covariance(2, 1)  # a single cell
        tensor([[1., 1.],
                [1., 1.]])
    """
    cell = math.ceil(side / cells)
    alone = torch.eye(cells, dtype=torch.float32)
    hats = F.interpolate(alone[:, None], (cells + 1) * cell, mode="linear", align_corners=False)[:, 0]
    shifted = hats.unfold(1, side, 1)[:, :cell]  # contribution of each cell at each shift, (cells, shifts, side)
    return torch.einsum("csp,csq->pq", shifted, shifted) / cell


def ridge(masks: Tensor, scores: Tensor) -> Tensor:
    """Ridge regression with an intercept: w = argmin |scores - c - masks w|^2 + l |w|^2, for each column of scores.

    The penalty l is chosen by generalised cross-validation (Golub et al. 1979).

    Args:
        masks: (n, d).
        scores: (n, B).

    Returns:
        (d, B).
    """
    x, y = (part.cpu().double() for part in (masks, scores))  # on the CPU first: some accelerators have no float64
    x, y = x - x.mean(0), y - y.mean(0)
    left, values, right = torch.linalg.svd(x, full_matrices=False)
    turned, power = left.T @ y, values.square()
    rates = power.max() * torch.logspace(-5, 1, 40, dtype=power.dtype)[:, None]
    share = power / (power + rates)  # by which each direction is shrunk, (L, r)
    error = y.square().sum(0) - (1 - (1 - share).square()) @ turned.square()  # (L, B)
    best = (error / (len(x) - 1 - share.sum(1, keepdim=True)).square()).argmin(0)
    return (right.T @ ((share[best] / values.clamp_min(1e-12)).T * turned)).to(scores)


def random_masks(images: Tensor, masks: int, cells: int, keep: float, seed: int, count: int) -> Iterator[Tensor]:
    """Yields RISE's masks (n, H, W) in [0, 1], n <= count: random binary grids, upsampled and shifted (section 3.2).

    They depend on the seed alone. Cells and shifts are drawn from a scrambled Sobol sequence: each mask has the same
    distribution as with independent draws, but all of them together cover the space more evenly.

    Args:
        images: (B, C, H, W), for their size and device.
        masks: number of masks.
        cells: resolution of a mask along each side.
        keep: probability that a cell is visible.
        seed: of the draws.
        count: largest number of masks in a group.
    """
    drawn = torch.quasirandom.SobolEngine(cells * cells + 2, scramble=True, seed=seed).draw(masks, dtype=torch.float32)
    return place_masks(drawn.to(images.device), (images.shape[2], images.shape[3]), cells, keep, count)


def place_masks(drawn: Tensor, size: tuple[int, int], cells: int, keep: float, count: int) -> Iterator[Tensor]:
    """Yields masks (n, H, W), n <= count, from numbers in [0, 1).

    Args:
        drawn: (masks, cells * cells + 2), one number for each cell and two for the shift.
        size: (height, width) of the masks.
        cells: resolution of a mask along each side.
        keep: probability that a cell is visible.
        count: largest number of masks in a group.
    """
    height, width = size
    cell_y, cell_x = math.ceil(height / cells), math.ceil(width / cells)
    grids = (drawn[:, :-2] < keep).unflatten(1, (cells, cells)).float()
    # Transferred all at once: otherwise the host would wait for the GPU in every group.
    corners = (drawn[:, -2:] * torch.tensor([cell_y, cell_x], device=drawn.device)).long().tolist()
    for part, first in zip(grids.split(count), range(0, len(corners), count), strict=True):
        padded = (cells + 1) * cell_y, (cells + 1) * cell_x
        large = F.interpolate(part[:, None], padded, mode="bilinear", align_corners=False)[:, 0]
        shifted = zip(large, corners[first : first + count], strict=True)
        yield torch.stack([mask[top : top + height, left : left + width] for mask, (top, left) in shifted])
