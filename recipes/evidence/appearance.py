"""Spectrum and colour of pictures, compared with photographs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from priors.spectrum import periodic_spectrum, radial_frequencies
from priors.statistics import LUMA

EDGE = 0.02
"""A channel value this close to 0 or 1 counts as burnt (saturated)."""
BAND = (1 / 32, 1 / 4)
"""Frequencies of the slope, in cycles per pixel: coarser ones are few in a small picture, finer ones are JPEG's."""
RINGS = 6
"""Rings of equal width on a logarithmic axis into which the band is divided."""


def appearance(images: Sequence[Tensor]) -> list[dict[str, float]]:
    """The spectrum and the colours of pictures.

    Args:
        images: pictures (C, H, W) in [0, 1], of any sizes; of one or three channels.

    Returns:
        For each picture: `slope`, `burnt`, and in colour `saturation`.

    Example:
        >>> grey, noise = torch.full((3, 64, 64), 0.5), torch.rand(3, 64, 64)
        >>> [round(each["saturation"], 1) for each in appearance([grey, noise])]
        [0.0, 0.5]
    """
    found = []
    for image in images:
        values = {"slope": slope(image), "burnt": float(burnt(image[None])[0])}
        if len(image) == 3:
            values["saturation"] = float((image.amax(0) - image.amin(0)).mean())
        found.append(values)
    return found


def burnt(images: Tensor, edge: float = EDGE) -> Tensor:
    """The fraction of burnt (saturated) channel values of each picture.

    Args:
        images: (B, C, H, W) in [0, 1].
        edge: a value within this distance of 0 or 1 counts.

    Returns:
        Fractions in [0, 1], (B,).

    Example:
        >>> burnt(torch.tensor([0.0, 0.01, 0.5, 1.0]).view(1, 1, 2, 2))
        tensor([0.7500])
    """
    return ((images < edge) | (images > 1 - edge)).flatten(1).float().mean(1)


def slope(image: Tensor) -> float:
    """The slope of log magnitude over log frequency of a picture's luminance; photographs have about -1.4 (Field 1987).

    Each ring of frequencies counts the same; the spectrum is free of the cross of the borders (Moisan 2011).

    Args:
        image: (C, H, W) in [0, 1], of one or three channels.

    Returns:
        The slope; 0 for a picture without variation in the band.
    """
    luminance = image.new_tensor(LUMA if len(image) == 3 else (1.0,)) @ image.flatten(1)
    magnitude = periodic_spectrum(luminance.view(image.shape[1:]).double()).abs()
    frequency = radial_frequencies(*image.shape[1:])
    low, high = (torch.tensor(edge, dtype=torch.float64).log() for edge in BAND)
    ring = ((frequency.clamp_min(1e-9).log() - low) / (high - low) * RINGS).floor()
    points = []
    for number in range(RINGS):
        inside = ring == number
        if bool(inside.any()) and float(level := magnitude[inside].mean()) > 1e-9:
            points.append((float(frequency[inside].log().mean()), float(level.log())))
    if len(points) < 2:
        return 0.0
    x, y = torch.tensor(points, dtype=torch.float64).T
    x = x - x.mean()
    return float(y @ x / (x @ x))
