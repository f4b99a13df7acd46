"""Networks that read patches: their first layer cuts the picture along a fixed grid, as a Vision Transformer's does."""

from __future__ import annotations

from torch import nn

from inverter.models import Model

LEAST = 8
"""Side of a patch in pixels, at least. The stems of Swin and ConvNeXt, 4 px wide, are followed by mixing at once."""


def patch_side(model: Model) -> int | None:
    """Side in pixels of the patches that a network cuts its pictures into.

    Its first convolution is as wide as its stride: each patch of the grid becomes one token, which no other patch
    enters before the first attention.

    Args:
        model: from `load_model`.

    Returns:
        Of the longer side; None for a network that does not read patches.

    Example:
        >>> patch_side(Model(nn.Sequential(nn.Conv2d(3, 8, 16, stride=16), nn.Flatten(2))))
        16
    """
    for part in model.module.modules():
        if isinstance(part, nn.Conv2d):
            grid = part.kernel_size == part.stride and not any(part.padding) and max(part.stride) >= LEAST
            return max(part.stride) if grid else None
    return None


def reads_patches(model: Model) -> bool:
    """True for a network that reads patches: defaults of recipes differ for it (BENCHMARKS.md has the tables)."""
    return patch_side(model) is not None
