"""Components over photographs in colours, and tiles side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recipes.outputs.rendering.colormap import visible
from recipes.photo.neuron_groups import colours

OPACITY = 0.8
"""Opacity of the components where they are strongest."""


def composite(photograph: Tensor, maps: Tensor) -> Tensor:
    """A photograph with several maps over it, each in its colour: (3, H, W) in [0, 1].

    Where several are strong, the strongest has most of the colour. The photograph's own colours are taken out.

    Args:
        photograph: (C, H, W) in [0, 1].
        maps: (K, H, W), 0 and above, of one unit.

    Example:
        >>> composite(torch.zeros(3, 1, 2), torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])).amax(0)
        tensor([[0.7216, 0.0000]])
    """
    palette = torch.tensor([list(bytes.fromhex(colour[1:])) for colour in colours(len(maps))]) / 255
    squares = maps.clamp_min(0) ** 2
    shares = squares / squares.sum(0).clamp_min(1e-12)
    strength = maps.amax(0) / maps.max().clamp_min(1e-12)
    cover = OPACITY * strength.clamp(0, 1).sqrt()
    grey = visible(photograph).mean(0, keepdim=True).expand(3, -1, -1)
    return grey * (1 - cover) + torch.einsum("khw,kc->chw", shares, palette) * cover


def strip(tiles: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Pictures of one size side by side; a grey one if there are none.

    Args:
        tiles: (C, H, W) in [0, 1].
        size: (H, W) of each.
    """
    return torch.cat([*map(visible, tiles)], dim=2) if tiles else torch.full((1, *size), 0.5)
