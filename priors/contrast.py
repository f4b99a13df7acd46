"""How much contrast a picture may have: a soft limit, so that a unit that grows with contrast does not burn it."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_limit(deviation: Tensor, limit: Tensor, inverse: bool = False) -> Tensor:
    """The factor (1 + (s / limit)^4)^(-1/4), which leaves small deviations s alone and keeps all of them below `limit`.

    Args:
        deviation: (B,) standard deviations s >= 0. limit: (B,), > 0, may be infinite.
        inverse: the deviations are limited ones (< limit): the factor that made them.

    Example:
        >>> soft_limit(torch.tensor([0.1, 100.0]), torch.tensor(2.0)) * torch.tensor([0.1, 100.0])
        tensor([0.1000, 2.0000])
    """
    ratio = (deviation / limit).pow(4)
    return (1 - ratio).pow(0.25) if inverse else (1 + ratio).pow(-0.25)


def spread_of(colors: Tensor) -> Tensor:
    """Root mean square of each picture, (B,): about grey, and six times as fast as a standard deviation."""
    return torch.linalg.vector_norm(colors.flatten(1), dim=1) / colors[0].numel() ** 0.5


def limited(colors: Tensor, limit: Tensor) -> Tensor:
    """Colours (B, C, H, W) before the sigmoid, each picture's spread kept below its `limit` (B,)."""
    return colors * soft_limit(spread_of(colors), limit)[:, None, None, None]


def unlimited(colors: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """What `limited` makes these colours of, and the limits (B,) with which it does: higher where a picture needs it.

    Example:
        >>> colors, limit = torch.full((1, 3, 2, 2), 4.0), torch.tensor([2.5])
        >>> torch.allclose(limited(*unlimited(colors, limit)), colors)
        True
    """
    spread = spread_of(colors)
    limit = torch.maximum(limit, 1.5 * spread)
    return colors / soft_limit(spread, limit, inverse=True)[:, None, None, None], limit
