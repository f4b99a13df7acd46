"""A soft limit on contrast, so that units that respond to contrast do not saturate their pictures."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_limit(deviation: Tensor, limit: Tensor, inverse: bool = False) -> Tensor:
    """The factor (1 + (s / limit)^4)^(-1/4): about 1 for small deviations s, and s times it is always below `limit`.

    Args:
        deviation: (B,) standard deviations s >= 0.
        limit: (B,), > 0, may be infinite.
        inverse: True if the deviations are limited ones (< limit); the result is the factor that was applied.

    Returns:
        (B,) factors in (0, 1].

    Example:
        >>> soft_limit(torch.tensor([0.1, 100.0]), torch.tensor(2.0)) * torch.tensor([0.1, 100.0])
        tensor([0.1000, 2.0000])
    """
    ratio = (deviation / limit).pow(4)
    return (1 - ratio).pow(0.25) if inverse else (1 + ratio).pow(-0.25)


def spread_of(colors: Tensor) -> Tensor:
    """Root mean square of each picture's values, (B,): six times as fast as a standard deviation."""
    return torch.linalg.vector_norm(colors.flatten(1), dim=1) / colors[0].numel() ** 0.5


def limited(colors: Tensor, limit: Tensor) -> Tensor:
    """Colours (B, C, H, W) before the sigmoid, with each picture's spread kept below its `limit` (B,)."""
    return colors * soft_limit(spread_of(colors), limit)[:, None, None, None]


def unlimited(colors: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of `limited`: its input, and the limits (B,), raised for pictures of more contrast.

    Example:
        >>> colors, limit = torch.full((1, 3, 2, 2), 4.0), torch.tensor([2.5])
        >>> torch.allclose(limited(*unlimited(colors, limit)), colors)
        True
    """
    spread = spread_of(colors)
    limit = torch.maximum(limit, 1.5 * spread)
    return colors / soft_limit(spread, limit, inverse=True)[:, None, None, None], limit
