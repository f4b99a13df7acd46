"""Colours of the images: hue, saturation and luminance from uniform numbers, in the natural range of each class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)  # Rec. 601


@dataclass(frozen=True)
class Palette:
    """The range of a class's main colour; the luminance of its surroundings avoids `reference`."""

    hue: float = 0.0
    spread: float = 1.0  # hues within +- spread / 2 turns
    saturation: tuple[float, float] = (0.5, 0.95)
    luminance: tuple[float, float] = (0.25, 0.7)
    reference: float | None = None


ANY = Palette()
NATURAL: dict[str, Palette] = {
    "bricks": Palette(0.03, 0.09, (0.45, 0.8), (0.3, 0.5)),
    "wood": Palette(0.08, 0.06, (0.4, 0.7), (0.45, 0.65)),
    "marble": Palette(0.5, 1.0, (0.1, 0.5), (0.15, 0.4)),
    "clouds": Palette(0.58, 0.1, (0.35, 0.8), (0.3, 0.55), 0.9),
    "camouflage": Palette(0.22, 0.2, (0.3, 0.7), (0.25, 0.45)),
    "cracks": Palette(0.07, 0.1, (0.2, 0.5), (0.05, 0.15)),
    "leopard": Palette(0.07, 0.04, (0.3, 0.6), (0.08, 0.18), 0.2),
    "heart": Palette(0.97, 0.14, (0.65, 0.98), (0.28, 0.5)),
    "crescent": Palette(0.14, 0.12, (0.3, 0.8), (0.65, 0.85)),
    "star": Palette(0.12, 0.3, (0.6, 0.95), (0.5, 0.75)),
    "bolt": Palette(0.13, 0.1, (0.7, 1.0), (0.6, 0.8)),
    "gear": Palette(0.6, 0.5, (0.05, 0.4), (0.4, 0.65)),
    "key": Palette(0.12, 0.1, (0.4, 0.85), (0.45, 0.65)),
    "eye": Palette(0.35, 0.7, (0.5, 0.9), (0.25, 0.55), 0.85),
    "face": Palette(0.11, 0.12, (0.5, 0.9), (0.6, 0.78)),
    "cat": Palette(0.07, 0.1, (0.2, 0.75), (0.35, 0.6)),
    "flower": Palette(0.85, 0.6, (0.45, 0.9), (0.4, 0.7)),
    "leaf": Palette(0.28, 0.2, (0.5, 0.9), (0.3, 0.55)),
    "tree": Palette(0.29, 0.16, (0.5, 0.85), (0.3, 0.5)),
    "pine": Palette(0.38, 0.12, (0.5, 0.8), (0.25, 0.42)),
    "mushroom": Palette(0.0, 0.12, (0.7, 0.95), (0.28, 0.45)),
    "house": Palette(0.02, 0.16, (0.45, 0.8), (0.25, 0.42)),
    "ladybird": Palette(0.0, 0.1, (0.75, 0.98), (0.28, 0.42)),
    "snowman": Palette(0.0, 1.0, (0.6, 0.95), (0.3, 0.5), 0.92),
    "rocket": Palette(0.0, 0.3, (0.65, 0.95), (0.28, 0.45), 0.85),
    "boat": Palette(0.05, 0.4, (0.5, 0.9), (0.25, 0.45)),
    "clock": Palette(0.5, 1.0, (0.4, 0.9), (0.2, 0.45), 0.6),
}


def tint(hue: Tensor, saturation: Tensor, luminance: Tensor) -> Tensor:
    """RGB (B,3) of that hue (in turns), fading to black or white until it has that luminance."""
    k = (torch.tensor([5.0, 3.0, 1.0], device=hue.device) + 6 * hue[:, None]) % 6
    rgb = 1 - saturation[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)
    own = (rgb * torch.tensor(LUMINANCE, device=hue.device)).sum(1, keepdim=True)
    goal = luminance[:, None]
    return torch.where(goal < own, rgb * goal / own, rgb + (1 - rgb) * (goal - own) / (1 - own).clamp(min=1e-4))


def apart(number: Tensor, other: Tensor, gap: float, low: float = 0.06, high: float = 0.95) -> Tensor:
    """A luminance in [low, high] at least `gap` from `other`, from a uniform number."""
    below, above = (other - gap - low).clamp(min=0), (high - other - gap).clamp(min=0)
    at = number * (below + above)
    return torch.where(at < below, low + at, high - above + (at - below))
