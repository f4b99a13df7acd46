"""How alike two heat maps of one picture are."""

from __future__ import annotations

import torch
from torch import Tensor


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's rank correlation of maps (B, H, W) with maps (B, H, W): (B,) in [-1, 1].

    Equal values share their mean rank. A map of one value has no order: its correlation is 0.

    Example:
        >>> rank_correlation(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[0.1, 0.9, 0.2]]]))
        tensor([0.5000])
    """
    x, y = (torch.stack([_ranks(heat) for heat in maps.flatten(1)]) for maps in (a, b))
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    size = (x.square().sum(1) * y.square().sum(1)).sqrt()
    return torch.where(size > 0, (x * y).sum(1) / size, 0.0).float()


def _ranks(values: Tensor) -> Tensor:
    """The rank of each of n numbers, from 1; equal ones share the mean of theirs."""
    _, places, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[places]


def similarity(a: Tensor, b: Tensor, signed: bool) -> Tensor:
    """Mean SSIM (Wang et al. 2004, window 11) of maps (B, H, W) as they are drawn: (B,), 1 for the same picture."""
    from kornia.metrics import ssim

    from recipes.outputs.colormap import strength

    window = min(11, *((side - 1) // 2 * 2 + 1 for side in a.shape[1:]))  # odd, and no larger than the map
    drawn = [torch.stack([strength(heat, signed) for heat in maps])[:, None] for maps in (a, b)]
    if signed:  # white, which says nothing, lies in the middle
        drawn = [(strengths + 1) / 2 for strengths in drawn]
    return ssim(drawn[0], drawn[1], window).mean((1, 2, 3))
