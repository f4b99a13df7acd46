"""Similarity of two heat maps of the same image."""

from __future__ import annotations

import torch
from torch import Tensor


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's rank correlation of two maps of each image, (B,) in [-1, 1].

    Ties share their mean rank. The correlation of a constant map is 0.

    Args:
        a: (B, H, W).
        b: (B, H, W).

    Example:
        >>> rank_correlation(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[0.1, 0.9, 0.2]]]))
        tensor([0.5000])
    """
    x, y = (torch.stack([_ranks(heat) for heat in maps.flatten(1)]) for maps in (a, b))
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    size = (x.square().sum(1) * y.square().sum(1)).sqrt()
    return torch.where(size > 0, (x * y).sum(1) / size, 0.0).float()


def _ranks(values: Tensor) -> Tensor:
    """The rank of each of n numbers, from 1; ties share their mean rank."""
    _, groups, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[groups]


def similarity(a: Tensor, b: Tensor, signed: bool) -> Tensor:
    """Mean SSIM (Wang et al. 2004, window 11) of maps (B, H, W) as they are drawn, (B,); 1 for equal maps."""
    from kornia.metrics import ssim

    from recipes.outputs.rendering.colormap import strength

    window = min(11, *((side - 1) // 2 * 2 + 1 for side in a.shape[1:]))  # odd, and no larger than the map
    drawn = [torch.stack([strength(heat, signed) for heat in maps])[:, None] for maps in (a, b)]
    if signed:  # 0 is drawn in white, the middle of the scale
        drawn = [(strengths + 1) / 2 for strengths in drawn]
    return ssim(drawn[0], drawn[1], window).mean((1, 2, 3))
