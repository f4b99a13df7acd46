"""Bounding boxes from heat maps: the box around the largest region above a threshold."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

Box = tuple[int, int, int, int]
"""(top, left, bottom, right) in pixels; bottom and right are exclusive."""


def largest_region(mask: Tensor) -> Tensor:
    """The largest 8-connected region of a mask (H, W), as a mask.

    Example:
        >>> largest_region(torch.tensor([[1, 1, 0, 1]]).bool()).int()
        tensor([[1, 1, 0, 0]], dtype=torch.int32)
    """
    labels = torch.arange(1, mask.numel() + 1, dtype=torch.float64).view(mask.shape) * mask
    while True:  # each pixel takes the highest label of its neighbourhood until each region has one label
        spread = F.max_pool2d(labels[None, None], 3, 1, 1)[0, 0] * mask
        if torch.equal(spread, labels):
            break
        labels = spread
    names, sizes = labels[mask].unique(return_counts=True)
    return labels == names[sizes.argmax()] if len(names) else mask


def hot_box(heat: Tensor, share: float) -> Box | None:
    """The box of the largest region of a map (H, W) above a share of its maximum; None if no value is above 0."""
    heat = heat.nan_to_num(0, 0, 0)
    if not heat.max() > 0:
        return None
    rows, columns = largest_region(heat > share * heat.max()).nonzero(as_tuple=True)
    return int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1
