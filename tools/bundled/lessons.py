"""The generator's training data: latents, and the synthetic images drawn for them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from priors.generator_net import CLASSES, POSE, SIZE
from tools.bundled import world


def target(latent: Tensor, size: int = SIZE) -> tuple[Tensor, Tensor]:
    """The plain synthetic images (B,3,size,size) of latents (B,80), and their labels (B,)."""
    label = latent[:, :CLASSES].argmax(1)
    pose = 0.5 * (1 + torch.erf(latent[:, CLASSES:] / math.sqrt(2)))
    u = F.pad(pose.clamp(0, 1 - 1e-6), (0, world.NUMBERS - POSE))
    return world.draw(label, u, size, clutter=0.0), label


class Lessons(Dataset[tuple[Tensor, Tensor]]):
    """Chunk i: latents (N,80) and their synthetic images, as bytes (N,3,64,64): a function of seed and i."""

    def __init__(self, seed: int, count: int, size: int) -> None:
        self.seed, self.count, self.size = seed, count, size

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        if not 0 <= i < self.count:
            raise IndexError(i)
        generator = torch.Generator().manual_seed(self.seed * 1000003 + i)
        latent = torch.randn(self.size, CLASSES + POSE, generator=generator)
        with torch.inference_mode():
            picture = (target(latent)[0] * 255).round().byte()
        return latent, picture.clone()
