"""Measuring the statistics of one's own pictures, two readings of them, one picture in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from inverter_errors import BadInput
from priors.color import decorrelate
from priors.spectrum import multiplicity, periodic_spectrum, radial_frequencies
from priors.statistics import ImageStatistics

_OCTAVES = 14  # of the radial axis: from the corner of the spectrum down to pictures of 16384 px
_FINE = 32  # bins an octave while the coefficients are gathered
_COARSE = 4  # frequencies an octave that are kept
_REACH = 0.75  # octaves: half the width of the triangle that smooths the one into the other


def measure(images: Iterable[Tensor], source: str = "") -> ImageStatistics:
    """Measures image statistics, two readings of the pictures, one picture in memory at a time.

    The first reading takes the mean and the colour covariance, the second the mean magnitudes of the decorrelated
    channels (`periodic_spectrum`), averaged over rings of the frequency plane. Every picture counts the same,
    whatever its size. The result does not depend on their order.

    Args:
        images: pictures (C, H, W) in [0, 1], of any sizes from 8 px up, all with the same one, three or more channels.
            Something that can be read twice and gives the same pictures each time: a list, a data set, an object with
            `__iter__`; not an iterator.
        source: what they are, for people.

    Raises:
        BadInput: if there is no picture, one has another shape or range, they can be read only once, or their
            channels depend on each other.

    Example:
        >>> measure([torch.rand(3, 64, 64) for _ in range(8)]).slope(0.15).abs().max() < 0.2  # white noise: near 0
        tensor(True)
    """
    if isinstance(images, Iterator):
        raise BadInput(
            f"expected pictures that can be read twice, got an iterator ({type(images).__name__}): give a list, or an "
            "object whose __iter__ starts again"
        )
    count, mean, second = 0, torch.zeros(()).double(), torch.zeros(()).double()
    for image in _checked(images):
        count += 1
        pixels = image.flatten(1).double()
        mean = mean + pixels.mean(1)
        second = second + pixels @ pixels.T / pixels.shape[1]
    if count == 0:
        raise BadInput("expected one or more pictures to measure, got none")
    mean = mean / count
    covariance = second / count - mean.outer(mean)
    # Anything that is wrong with the colours shows here, before the long second reading.
    flat = ImageStatistics(mean, covariance, torch.tensor([0.1, 0.2]), torch.ones(len(mean), 2), count, source)
    basis = flat.color_basis()

    total = torch.zeros(len(mean), _OCTAVES * _FINE).double()
    weights, logs = torch.zeros(_OCTAVES * _FINE).double(), torch.zeros(_OCTAVES * _FINE).double()
    again = 0
    for image in _checked(images):
        again += 1
        channels = decorrelate((image - flat.mean[:, None, None])[None], basis)[0]
        bins, weight, log_frequency = _rings(*image.shape[1:])
        magnitude = periodic_spectrum(channels).abs().flatten(1)[:, 1:].double()
        # Magnitude times frequency is nearly flat: it can be averaged over a wide ring without leaning to one side.
        flattened = magnitude * (weight * log_frequency.exp())
        total += torch.stack([torch.bincount(bins, row, weights.numel()) for row in flattened])
        weights += torch.bincount(bins, weight, weights.numel())
        logs += torch.bincount(bins, weight * log_frequency, weights.numel())
    if again != count:
        raise BadInput(f"expected the same pictures at both readings, got {count} and then {again}")

    octave = -0.5 - (torch.arange(weights.numel()).double() + 0.5) / _FINE  # log2 of the frequency of each bin
    lowest = octave[weights > 0].min().item() - 1 / _FINE
    points = torch.arange(-0.5, lowest, -1 / _COARSE).double().flip(0)
    triangle = (1 - (octave - points[:, None]).abs() / _REACH).clamp(min=0)
    norm = triangle @ weights
    frequencies = (triangle @ logs / norm).exp()
    magnitude = total @ triangle.T / norm / frequencies
    # Two points that see but one and the same ring (the lowest of a narrow picture) are one.
    new = frequencies.diff(prepend=frequencies.new_zeros(1)) > 1e-3 * frequencies
    return ImageStatistics(mean, covariance, frequencies[new], magnitude[:, new], count, source)


@lru_cache(maxsize=4)
def _rings(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each coefficient of `rfft2` but the constant: its bin, its weight and its log frequency.

    With weights 1 / f^2 each octave weighs the same, as does each picture (1 / area).
    """
    radius = radial_frequencies(height, width).flatten()[1:]
    count = multiplicity(height, width).expand(height, -1).flatten()[1:]
    bins = ((-radius.log2() - 0.5) * _FINE).long().clamp(0, _OCTAVES * _FINE - 1)
    return bins, count / (radius.square() * height * width), radius.log()


def check_picture(picture: Tensor, channels: int | None = None) -> Tensor:
    """One picture as float32 (C, H, W) on the CPU, after checking what `measure` expects.

    Raises:
        BadInput: if it is not (C, H, W) with sides of 8 px or more and values in [0, 1], or has other channels.
    """
    if picture.ndim != 3 or min(picture.shape) < 1 or min(picture.shape[1:]) < 8:
        raise BadInput(f"expected (C, H, W) with sides of 8 px or more, got shape {tuple(picture.shape)}")
    if channels not in (None, picture.shape[0]):
        raise BadInput(f"expected {channels} channels, got {picture.shape[0]}")
    picture = picture.detach().cpu().float()
    if not bool(((picture >= 0) & (picture <= 1)).all()):
        raise BadInput("expected values in [0, 1]: divide 8-bit pictures by 255")
    return picture


def _checked(images: Iterable[Tensor]) -> Iterator[Tensor]:
    channels = None
    for index, image in enumerate(images):
        try:
            yield check_picture(image, channels)
        except ValueError as error:
            raise BadInput(f"picture {index}: {error}") from None
        channels = image.shape[0]
