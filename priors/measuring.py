"""Measuring image statistics, in two passes over the pictures, one picture in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from inverter_errors import BadInput
from priors import cpu
from priors.base import check_picture
from priors.color import decorrelate
from priors.spectrum import multiplicity, periodic_spectrum, radial_frequencies
from priors.statistics import ImageStatistics

_OCTAVES = 14  # of the radial axis: from the corner of the spectrum down to pictures of 16384 px
_FINE = 32  # bins per octave while coefficients are accumulated
_COARSE = 4  # frequencies per octave in the result
_REACH = 0.75  # octaves: half the width of the triangular kernel that smooths bins into frequencies


def measure(images: Iterable[Tensor], source: str = "") -> ImageStatistics:
    """Measures image statistics in two passes over the pictures, with one picture in memory at a time.

    The first pass computes the mean and the colour covariance, the second the mean magnitudes of the decorrelated
    channels (`periodic_spectrum`; Moisan 2011), averaged over rings of the frequency plane. Every picture has the same
    weight at any size. The result does not depend on their order.

    Args:
        images: pictures (C, H, W) in [0, 1], of any sizes from 8 px up, all with the same number C >= 1 of channels.
            It is iterated twice and must yield the same pictures each time: a list, a data set, an object with
            `__iter__`, but not an iterator.
        source: a description of the pictures, for people.

    Returns:
        The statistics, on the CPU.

    Raises:
        BadInput: if there is no picture, one has another shape or range, they can be read only once or change between
            the passes, or their channels are linearly dependent.

    Example:
        >>> measure([torch.rand(3, 64, 64) for _ in range(8)]).slope(0.15).abs().max() < 0.2  # white noise: near 0
        tensor(True)
    """
    if isinstance(images, Iterator):
        raise BadInput(
            f"expected pictures that can be read twice, got an iterator ({type(images).__name__}): give a list, or an "
            "object whose __iter__ starts again"
        )
    count, mean, second = 0, cpu.zeros(()).double(), cpu.zeros(()).double()
    for image in _checked(images):
        count += 1
        pixels = image.flatten(1).double()
        mean = mean + pixels.mean(1)
        second = second + pixels @ pixels.T / pixels.shape[1]
    if count == 0:
        raise BadInput("expected one or more pictures to measure, got none")
    mean = mean / count
    covariance = second / count - mean.outer(mean)
    # Checks the colours here, before the long second pass.
    flat = ImageStatistics(mean, covariance, cpu.tensor([0.1, 0.2]), cpu.ones(len(mean), 2), count, source)
    basis = flat.color_basis()

    total = cpu.zeros(len(mean), _OCTAVES * _FINE).double()
    weights, logs = cpu.zeros(_OCTAVES * _FINE).double(), cpu.zeros(_OCTAVES * _FINE).double()
    again = 0
    for image in _checked(images):
        again += 1
        channels = decorrelate((image - flat.mean[:, None, None])[None], basis)[0]
        bins, weight, log_frequency = _rings(*image.shape[1:])
        magnitude = periodic_spectrum(channels).abs().flatten(1)[:, 1:].double()
        # Magnitude times frequency is nearly constant, so that averages over wide rings are unbiased.
        flattened = magnitude * (weight * log_frequency.exp())
        total += torch.stack([torch.bincount(bins, row, weights.numel()) for row in flattened])
        weights += torch.bincount(bins, weight, weights.numel())
        logs += torch.bincount(bins, weight * log_frequency, weights.numel())
    if again != count:
        raise BadInput(f"expected the same pictures in both passes, got {count} and then {again}")

    octave = -0.5 - (cpu.arange(weights.numel()).double() + 0.5) / _FINE  # log2 of the frequency of each bin
    lowest = octave[weights > 0].min().item() - 1 / _FINE
    points = cpu.arange(-0.5, lowest, -1 / _COARSE).double().flip(0)
    triangle = (1 - (octave - points[:, None]).abs() / _REACH).clamp(min=0)
    norm = triangle @ weights
    frequencies = (triangle @ logs / norm).exp()
    magnitude = total @ triangle.T / norm / frequencies
    # Points that cover only one and the same ring (the lowest of a narrow picture) are merged.
    new = frequencies.diff(prepend=frequencies.new_zeros(1)) > 1e-3 * frequencies
    return ImageStatistics(mean, covariance, frequencies[new], magnitude[:, new], count, source)


@lru_cache(maxsize=4)
def _rings(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each coefficient of `rfft2` but the constant one: its bin, its weight and its log frequency.

    With weights 1 / f^2 each octave has the same weight, and with 1 / area each picture.
    """
    radius = radial_frequencies(height, width).flatten()[1:]
    count = multiplicity(height, width).expand(height, -1).flatten()[1:]
    bins = ((-radius.log2() - 0.5) * _FINE).long().clamp(0, _OCTAVES * _FINE - 1)
    return bins, count / (radius.square() * height * width), radius.log()


def _checked(images: Iterable[Tensor]) -> Iterator[Tensor]:
    channels = None
    for index, image in enumerate(images):
        try:
            yield check_picture(image, channels)
        except ValueError as error:
            raise BadInput(f"picture {index}: {error}") from None
        channels = image.shape[0]
