"""The input of a drawing function: coordinates in the object's own frame, its shape numbers, and its three colours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tools.bundled import fields


@dataclass(frozen=True)
class Frame:
    """Coordinates and colours of a batch of images of one class.

    Attributes:
        x: (B,H,W), the object's own frame: it fills about [-1, 1].
        y: (B,H,W), the same, pointing down.
        pixel: (B,1,1), the size of an image's pixel in that frame.
        shape: five (B,1,1) numbers in [0, 1) that vary the form.
        seed: (B,1,1), selects the noise field.
        a: main colour (B,3) in [0, 1].
        b: paper or second colour.
        c: accent colour.
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
        """The coverage of each pixel by a shape: a ramp one pixel wide across its border."""
        return (0.5 - distance / self.pixel).clamp(0, 1)

    def colour(self, red: float, green: float, blue: float) -> Tensor:
        """One fixed colour (B,3) for every image: pupils, tyres, snow."""
        return torch.tensor([[red, green, blue]], device=self.x.device, dtype=self.a.dtype).expand_as(self.a)

    def noise(self, x: Tensor, y: Tensor, octaves: int = 3, base: int = 7, layer: int = 0) -> Tensor:
        return fields.noise(x, y, self.seed, octaves, base, layer)
