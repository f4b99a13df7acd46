"""Superpixels: segments of an image that follow its edges, the features of surrogate models."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inverter_errors import BadInput

ROUNDS = 5
SMOOTH = 1 / 6
"""Standard deviation of the preceding blur, as a share of the distance of centres: texture would fragment segments."""


def superpixels(picture: Tensor, count: int, compactness: float = 20.0) -> Tensor:
    """SLIC: k-means of colour and position, restricted to neighbouring centres (Achanta et al. 2012).

    The distance is D^2 = d_colour^2 + (m / S)^2 d_position^2 (eq. 3), S the distance of centres, colours in CIELAB. A
    superpixel is not necessarily connected.

    Args:
        picture: (C, H, W) in [0, 1]; channels that are no colours are averaged.
        count: approximate number of superpixels.
        compactness: m; larger values give squarer superpixels.

    Returns:
        (H, W) labels, consecutive integers from 0.

    Raises:
        BadInput: for a count below 1, or more than there are pixels.

    Example:
        >>> superpixels(torch.zeros(3, 8, 8), 4).unique(return_counts=True)[1]
        tensor([16, 16, 16, 16])
    """
    height, width = picture.shape[1:]
    if not 1 <= count <= height * width:
        raise BadInput(f"superpixels: expected 1 to {height * width} segments, got {count}")
    pitch = math.sqrt(height * width / count)
    rows, columns = max(1, round(height / pitch)), max(1, round(width / pitch))
    sides = (torch.arange(side, dtype=torch.float32) + 0.5 for side in (height, width))
    y, x = torch.meshgrid(*sides, indexing="ij")
    scale = compactness / pitch
    points = torch.cat([_lab(picture.cpu(), SMOOTH * pitch), torch.stack([y, x]) * scale]).flatten(1).T  # (H W, 5)
    home = (y * rows / height).long() * columns + (x * columns / width).long()
    weighted = torch.cat([points, torch.ones_like(points[:, :1])], 1)
    labels, near = home.flatten(), _neighbours(rows, columns)[home.flatten()]  # (H W, 9)
    for _ in range(ROUNDS):
        total = torch.zeros(rows * columns, 6, dtype=torch.float32).index_add(0, labels, weighted)
        centres = total[:, :5] / total[:, 5:].clamp_min(1)
        # An empty superpixel has no centre, and stays empty.
        distance = (points[:, None] - centres[near]).square().sum(2).masked_fill(total[near, 5] == 0, torch.inf)
        labels = near.gather(1, distance.argmin(1, keepdim=True))[:, 0]
    return labels.unique(return_inverse=True)[1].view(height, width)


def _lab(picture: Tensor, sigma: float) -> Tensor:
    from kornia.color import rgb_to_lab
    from kornia.filters import gaussian_blur2d

    from recipes.outputs.rendering.colormap import visible

    colours = visible(picture).float().expand(3, -1, -1)[None].clamp(0, 1)
    side = 2 * min(int(2 * sigma), (min(picture.shape[1:]) - 1) // 2) + 1
    return rgb_to_lab(gaussian_blur2d(colours, (side, side), (sigma, sigma)))[0]


def _neighbours(rows: int, columns: int) -> Tensor:
    """(rows * columns, 9): each cell of a grid and its eight neighbours, clamped at the border."""
    y, x = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    around = [(y + dy).clamp(0, rows - 1) * columns + (x + dx).clamp(0, columns - 1) for dy, dx in steps]
    return torch.stack(around, 1)
