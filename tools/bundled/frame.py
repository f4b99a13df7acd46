"""What a drawing function sees: coordinates in the thing's own frame, its free shape numbers, and its three colours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tools.bundled import fields


@dataclass(frozen=True)
class Frame:
    """Coordinates and colours of a batch of pictures of one class.

    x, y: (B,H,W), the thing's own frame: it fills about [-1, 1] both ways, y points down.
    pixel: (B,1,1), the size of a picture's pixel in that frame.
    shape: five (B,1,1) numbers in [0, 1) that vary the form.
    seed: (B,1,1), names the noise field.
    a, b, c: colours (B,3) in [0, 1]: main, paper (or second), accent.
    """

    x: Tensor
    y: Tensor
    pixel: Tensor
    shape: tuple[Tensor, ...]
    seed: Tensor
    a: Tensor
    b: Tensor
    c: Tensor

    def ink(self, distance: Tensor) -> Tensor:
        """How much of each pixel a shape covers: a ramp one pixel wide across its border."""
        return (0.5 - distance / self.pixel).clamp(0, 1)

    def colour(self, red: float, green: float, blue: float) -> Tensor:
        """One colour (B,3) for every picture, for what has only one: pupils, tyres, snow."""
        return torch.tensor([[red, green, blue]], device=self.x.device, dtype=self.a.dtype).expand_as(self.a)

    def noise(self, x: Tensor, y: Tensor, octaves: int = 3, base: int = 7, layer: int = 0) -> Tensor:
        return fields.noise(x, y, self.seed, octaves, base, layer)
