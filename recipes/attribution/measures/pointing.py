"""Localization measures: does a map lie inside the annotated boxes of an object?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recipes.attribution.localization.boxes import Box, hot_box

HOT = 0.2
"""Threshold of a map's own box, as a share of its maximum (Zhou et al. 2016)."""


def box_mask(boxes: Sequence[Box], size: tuple[int, int], margin: int = 0) -> Tensor:
    """The pixels of an image that lie in any box, as a mask (H, W).

    Args:
        boxes: (top, left, bottom, right) in pixels.
        size: (height, width) of the image.
        margin: pixels by which every box is enlarged on each side.

    Example:
        >>> box_mask([(0, 1, 1, 3)], (2, 3)).int()
        tensor([[0, 1, 1],
                [0, 0, 0]], dtype=torch.int32)
    """
    mask = torch.zeros(size, dtype=torch.bool)
    for top, left, bottom, right in boxes:
        mask[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin] = True
    return mask


def points_at(heat: Tensor, boxes: Sequence[Box], margin: int = 0) -> bool:
    """The pointing game (Zhang et al. 2016): whether the maximum of a map lies in a box.

    Args:
        heat: (H, W); a map without values above 0 is never a hit.
        boxes: (top, left, bottom, right) in pixels.
        margin: tolerance around a box in pixels; 15 in the paper.
    """
    return bool(heat.max() > 0) and bool(box_mask(boxes, _size(heat), margin).flatten()[heat.argmax()])


def energy(heat: Tensor, boxes: Sequence[Box]) -> float:
    """Energy-based pointing game (Wang et al. 2020): the share of a map's positive values in a box, in [0, 1]."""
    positive = heat.clamp_min(0)
    total = float(positive.sum())
    return float(positive[box_mask(boxes, _size(heat))].sum()) / total if total > 0 else 0.0


def box_iou(heat: Tensor, boxes: Sequence[Box]) -> float:
    """Intersection over union of the map's own box (20 % of its maximum) and the best matching box, in [0, 1].

    Example:
        >>> box_iou(torch.tensor([[0.0, 1.0, 1.0]]), [(0, 0, 1, 2)])
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
