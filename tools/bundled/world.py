"""Synthetic images: endless, labelled, and pure functions of a seed and an index."""

from __future__ import annotations

import torch
from torch import Tensor

from tools.bundled.compose import CLASSES, NUMBERS, POSE, TEXTURE_COUNT, render

__all__ = ["CLASSES", "NUMBERS", "POSE", "TEXTURE_COUNT", "draw", "numbers", "pictures"]

SIZE = 128


def draw(label: Tensor, u: Tensor, size: int = SIZE, clutter: float = 1.0) -> Tensor:
    """Images of the given classes: a pure function of its arguments.

    Args:
        label: (B,) int64 in [0, len(CLASSES)).
        u: (B, NUMBERS) in [0, 1), of which the first POSE give the plain image.
        size: height and width in pixels, at least 8.
        clutter: 0 (plain: one object, evenly coloured background) to 1.

    Returns:
        (B, 3, size, size) in [0, 1].

    Raises:
        ValueError: for other shapes or ranges.
    """
    if u.ndim != 2 or u.shape[1] != NUMBERS or label.shape != u.shape[:1]:
        raise ValueError(
            f"expected labels (B,) and numbers (B, {NUMBERS}), got {tuple(label.shape)} and {tuple(u.shape)}"
        )
    if len(label) and not 0 <= int(label.min()) <= int(label.max()) < len(CLASSES):
        raise ValueError(f"labels must lie in [0, {len(CLASSES)}), got {int(label.min())} to {int(label.max())}")
    if not 0 <= clutter <= 1 or size < 8:
        raise ValueError(f"expected clutter in [0, 1] and size >= 8, got {clutter} and {size}")
    return render(label, u, size, clutter)


def numbers(seed: int, first: int, count: int) -> Tensor:
    """The uniform numbers (count, NUMBERS) of a seed's images first, first + 1, ...; each from its index alone."""
    rows = []
    for index in range(first, first + count):
        generator = torch.Generator().manual_seed((seed * 0x9E3779B1 + index * 0x85EBCA77 + 1) % 2**63)
        rows.append(torch.rand(NUMBERS, generator=generator))
    return torch.stack(rows) if rows else torch.zeros(0, NUMBERS)


def pictures(
    seed: int, first: int, count: int, size: int = SIZE, clutter: float = 1.0, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Images first .. first + count - 1 of a seed, (count,3,size,size) in [0, 1], and their labels (count,).

    Image i is of class i modulo the number of classes, so any len(CLASSES) consecutive images contain every class once.
    """
    label = torch.arange(first, first + count, device=device) % len(CLASSES)
    return draw(label, numbers(seed, first, count).to(device), size, clutter), label
