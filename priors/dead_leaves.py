"""Dead leaves: random pictures that have, unlike noise, objects with edges that occlude each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from priors import cpu
from priors.base import Size, as_size
from priors.color import from_image, recorrelate, to_image
from priors.statistics import natural_statistics

LEAVES = 40
SMALLEST, LARGEST = 1 / 37, 1 / 1.4
"""Radii of leaves relative to the longer side of the picture; each octave between them is equally likely."""
CONTRAST, TEXTURE = 1.2, 0.6
"""Root mean squares before the sigmoid: between the colours of leaves, and within a leaf, on average."""


def dead_leaves(count: int, size: Size, generator: torch.Generator, image_channels: int = 3) -> Tensor:
    """Pictures of the dead leaves model: random shapes that occlude each other (Lee, Mumford & Huang 2001).

    Ellipses and boxes of random size and orientation, each with its own colour and its own strength of texture;
    colours and textures have the statistics of natural images. They stand in for photographs where features of a
    network are to be measured without data: its layers respond to them more as to photographs than as to noise.

    Args:
        count: number of pictures, B, > 0.
        size: pixels, one number or (height, width).
        generator: the source of all random draws, on the CPU.
        image_channels: number of channels of the pictures, C.

    Returns:
        (B, C, H, W) in [0, 1].

    Raises:
        BadInput: for a size that is not positive.

    Example:
        >>> dead_leaves(2, (32, 48), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3, 32, 48])
    """
    height, width = as_size(size)
    statistics, side = natural_statistics(image_channels), max(height, width)
    basis = statistics.color_basis()
    basis = basis / basis.square().sum(1).mean().sqrt()  # normal numbers become colours with a root mean square of 1
    mean = from_image(statistics.mean)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * cpu.rand(count, 1, 1, 1, generator=generator)

    def colour() -> Tensor:
        return (mean + CONTRAST * cpu.randn(count, len(mean), generator=generator) @ basis.T)[:, :, None, None]

    down, right = torch.arange(height, device="cpu")[:, None], torch.arange(width, device="cpu")
    colours, strength = colour().expand(-1, -1, height, width), uniform(0, 2 * TEXTURE)
    for _ in range(LEAVES):
        radius = side * uniform(math.log(SMALLEST), math.log(LARGEST)).exp()
        angle, stretch = uniform(0, 2 * math.pi), uniform(-1, 1).exp()
        y, x = down - height * uniform(-0.1, 1.1), right - width * uniform(-0.1, 1.1)
        along, across = (y * angle.cos() + x * angle.sin()) * stretch, (x * angle.cos() - y * angle.sin()) / stretch
        ellipse, box = along.square() + across.square() < radius.square(), along.abs().max(across.abs()) < radius
        inside = torch.where(uniform(0, 1) < 0.5, box, ellipse)
        colours = torch.where(inside, colour(), colours)
        strength = torch.where(inside, uniform(0, 2 * TEXTURE), strength)
    noise = cpu.randn(count, len(mean), height, width, generator=generator)
    texture = torch.fft.irfft2(torch.fft.rfft2(noise) * statistics.spectrum(height, width), (height, width))
    texture = recorrelate(texture - texture.mean((2, 3), keepdim=True), basis)
    texture = texture / texture.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    return to_image(colours + strength * texture)
