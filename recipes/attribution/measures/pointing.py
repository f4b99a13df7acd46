"""Does a map lie on the thing, where boxes say where it is?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recipes.attribution.localization.boxes import Box, hot_box

HOT = 0.2
"""Share of a map's maximum above which it is bounded (Zhou et al. 2016)."""


def inside(boxes: Sequence[Box], size: tuple[int, int], margin: int = 0) -> Tensor:
    """The pixels (H, W) of a picture that lie in any box, or no further than `margin` from it.

    Example:
        >>> inside([(0, 1, 1, 3)], (2, 3)).int()
        tensor([[0, 1, 1],
                [0, 0, 0]], dtype=torch.int32)
    """
    mask = torch.zeros(size, dtype=torch.bool)
    for top, left, bottom, right in boxes:
        mask[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin] = True
    return mask


def points_at(heat: Tensor, boxes: Sequence[Box], margin: int = 0) -> bool:
    """The pointing game (Zhang et al. 2016): whether the hottest pixel of a map (H, W) lies in a box.

    Args:
        margin: pixels beside a box that still count; the paper has 15. A map without anything above 0 points nowhere.
    """
    return bool(heat.max() > 0) and bool(inside(boxes, _size(heat), margin).flatten()[heat.argmax()])


def energy(heat: Tensor, boxes: Sequence[Box]) -> float:
    """The share of what a map (H, W) has above 0 that lies in a box (Wang et al. 2020), in [0, 1]."""
    warm = heat.clamp_min(0)
    total = float(warm.sum())
    return float(warm[inside(boxes, _size(heat))].sum()) / total if total > 0 else 0.0


def overlap(heat: Tensor, boxes: Sequence[Box]) -> float:
    """Intersection over union of the map's own box (above 20 % of its maximum) and the nearest box, in [0, 1].

    Example:
        >>> overlap(torch.tensor([[0.0, 1.0, 1.0]]), [(0, 0, 1, 2)])
        0.3333333333333333
    """
    found = hot_box(heat, HOT)
    return max((_iou(found, box) for box in boxes), default=0.0) if found else 0.0


def _iou(a: Box, b: Box) -> float:
    height, width = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(height, 0) * max(width, 0)
    areas = sum((bottom - top) * (right - left) for top, left, bottom, right in (a, b))
    return common / (areas - common) if common else 0.0


def _size(heat: Tensor) -> tuple[int, int]:
    return heat.shape[0], heat.shape[1]
