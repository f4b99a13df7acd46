"""Statistics of natural images: mean, colour covariance and mean magnitude spectrum."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from inverter_errors import BadInput, plural
from priors import cpu
from priors.spectrum import radial_frequencies

BUNDLED: Final = Path(__file__).parent / "data" / "natural.json"
LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance of a picture (ITU-R BT.601), as Pillow converts colour to grey."""
FORMAT: Final = "image statistics 1"


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """First and second order statistics of a set of pictures with values in [0, 1] (Field 1987; Torralba & Oliva 2003).

    The magnitude is that of the *orthonormal* Fourier transform, `rfft2(channel, norm="ortho")`, of the decorrelated
    channels t = basis^-1 (x - mean), each of unit variance. For a stationary texture it depends only on the frequency
    in cycles per pixel, not on the size of the picture; its mean square over all coefficients is the variance.

    Attributes:
        mean: (C,), mean of the pixels.
        covariance: (C, C), colour covariance of all pixels about `mean`.
        frequencies: (K,), K >= 2, radial frequencies in cycles per pixel, rising, in (0, sqrt(1/2)].
        magnitude: (C, K), > 0, mean magnitude of each decorrelated channel at these frequencies.
        images: number of pictures measured.
        source: a description of the pictures, for people.

    Raises:
        BadInput: if the shapes do not fit, a number is not finite, the frequencies do not rise from above 0, a
            magnitude is not positive, or the covariance is not positive definite.

    Example:
        >>> natural_statistics().spectrum(224, 224).shape
        torch.Size([3, 224, 113])
    """

    mean: Tensor
    covariance: Tensor
    frequencies: Tensor
    magnitude: Tensor
    images: int
    source: str

    def __post_init__(self) -> None:
        for name in ("mean", "covariance", "frequencies", "magnitude"):
            value = getattr(self, name).detach().cpu().float()
            object.__setattr__(self, name, value)
            if not bool(value.isfinite().all()):
                raise BadInput(f"expected finite numbers in {name} of the image statistics, got {value.tolist()}")
        channels, points = self.mean.numel(), self.frequencies.numel()
        shapes = {"mean": (channels,), "covariance": (channels,) * 2, "frequencies": (points,)}
        for name, shape in (shapes | {"magnitude": (channels, points)}).items():
            if tuple(getattr(self, name).shape) != shape:
                raise BadInput(
                    f"expected {name} of shape {shape} in image statistics of {plural(channels, 'channel')} at "
                    f"{points} frequencies, got {tuple(getattr(self, name).shape)}"
                )
        if points < 2 or not bool((self.frequencies.diff() > 0).all() and self.frequencies[0] > 0):
            raise BadInput(f"expected two or more rising positive frequencies, got {self.frequencies.tolist()}")
        if not bool((self.magnitude > 0).all()):
            raise BadInput("expected positive magnitudes in image statistics: is some channel constant?")
        values = torch.linalg.eigvalsh(self.covariance.double())
        if not bool(values[0] > max(1e-6 * values[-1].item(), 1e-12)) or not torch.allclose(
            self.covariance, self.covariance.T
        ):
            raise BadInput(
                "expected a symmetric positive definite colour covariance, got eigenvalues "
                f"{[float(f'{value:.3g}') for value in values]}: constant channels and combinations of others (grey "
                "pictures read as RGB) have no inverse; measure grey pictures with one channel"
            )

    @property
    def channels(self) -> int:
        """Number of colour channels, C."""
        return self.mean.numel()

    def color_basis(self) -> Tensor:
        """The basis of colour = mean + basis @ t for decorrelated channels t of unit variance, like Lucid's matrix.

        Returns:
            (C, C): the principal axes of the covariance, each times its standard deviation, the largest first; the
            first number of each column is positive. Hence basis @ basis.T is the covariance.
        """
        values, axes = torch.linalg.eigh(self.covariance.double())
        axes = axes.flip(1)
        signs = torch.where(axes[0] < 0, -1.0, 1.0)
        basis: Tensor = axes * signs * values.flip(0).sqrt()
        return basis.float()

    def slope(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Slopes of log magnitude over log frequency, by least squares, with the same weight for each octave.

        The power spectrum has twice this slope: 1/f^2 power is a slope of -1 here.

        Args:
            low: lowest frequency, in cycles per pixel.
            high: highest frequency, in cycles per pixel.

        Returns:
            (C,), one slope per channel.

        Raises:
            BadInput: if fewer than two measured frequencies lie in the range.
        """
        inside = (self.frequencies >= low) & (self.frequencies <= high)
        if int(inside.sum()) < 2:
            raise BadInput(
                f"expected a range with two or more of the frequencies {self.frequencies[0]:.4g} .. "
                f"{self.frequencies[-1]:.4g} cycles per pixel, got {low:.4g} .. {high:.4g}"
            )
        x = self.frequencies[inside].double().log()
        x = x - x.mean()
        return (self.magnitude[:, inside].double().log() @ x / (x @ x)).float()

    def spectrum(self, height: int, width: int) -> Tensor:
        """The mean magnitude of `rfft2(channels, norm="ortho")` for a canvas of any size.

        Linear interpolation of the logarithms; outside of the measured range, the power law that fits the nearest four
        octaves. The constant coefficient (frequency 0) takes the law's value at half of the lowest frequency of the
        canvas, which is about the mean magnitude of natural images (their means vary too).

        Args:
            height: height of the canvas, in pixels.
            width: width of the canvas, in pixels.

        Returns:
            (C, height, width // 2 + 1), > 0.

        Raises:
            BadInput: if a side is not positive.

        Example:
            >>> phase = 6.28 * torch.rand(3, 64, 33)
            >>> spectrum = torch.polar(natural_statistics().spectrum(64, 64), phase)
            >>> torch.fft.irfft2(spectrum, (64, 64), norm="ortho").shape
            torch.Size([3, 64, 64])
        """
        if height < 1 or width < 1:
            raise BadInput(f"expected a canvas of at least one pixel, got height {height} and width {width}")
        radius = radial_frequencies(height, width)
        radius[0, 0] = 0.5 / max(height, width)
        x, known, values = radius.log(), self.frequencies.double().log(), self.magnitude.double().log()
        # One point added far out on either side turns extrapolation into interpolation.
        first, last = self.frequencies[0].item(), self.frequencies[-1].item()
        far = 20.0
        below = values[:, :1] - far * self._slope_near(first, first * 16)[:, None]
        above = values[:, -1:] + far * self._slope_near(last / 16, last)[:, None]
        known = torch.cat([known[:1] - far, known, known[-1:] + far])
        values = torch.cat([below, values, above], 1)
        right = torch.bucketize(x, known).clamp(1, len(known) - 1)
        part = (x - known[right - 1]) / (known[right] - known[right - 1])
        return torch.lerp(values[:, right - 1], values[:, right], part).exp().float()

    def _slope_near(self, low: float, high: float) -> Tensor:
        inside = int(((self.frequencies >= low) & (self.frequencies <= high)).sum())
        return (self.slope(low, high) if inside > 1 else self.slope()).double()

    def save(self, path: str | Path) -> None:
        """Writes them as a small, readable JSON file, atomically: it is complete or not there at all."""
        numbers = {name: _numbers(getattr(self, name)) for name in ("mean", "covariance", "frequencies", "magnitude")}
        fields = {"format": FORMAT, "source": self.source, "images": self.images} | numbers
        rows = (f"{json.dumps(name)}: {_json(value)}" for name, value in fields.items())
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
        partial.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> ImageStatistics:
        """Reads a file of `save`, with exactly the same numbers.

        Raises:
            BadInput: if the file holds no image statistics, or invalid ones; the message names the file.
            OSError: if it cannot be read.
        """
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise BadInput(f"{path}: expected image statistics as JSON, got something else ({error})") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            given = found.get("format") if isinstance(found, dict) else type(found).__name__
            raise BadInput(f'{path}: expected image statistics with "format": "{FORMAT}", got {given!r}')
        missing = [name for name in cls.__dataclass_fields__ if name not in found]
        if missing:
            raise BadInput(f"{path}: image statistics lack {', '.join(missing)}: measure them again")
        if not isinstance(found["images"], int) or not isinstance(found["source"], str):
            raise BadInput(f"{path}: expected an integer number of images and a text as source")
        try:
            tensors = {name: cpu.tensor(found[name]) for name in ("mean", "covariance", "frequencies", "magnitude")}
            return cls(**tensors, images=found["images"], source=found["source"])
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise BadInput(f"{path}: {error}") from None


def _numbers(tensor: Tensor) -> Any:
    # The shortest decimals that give the same float32 back.
    if tensor.ndim == 0:
        value = tensor.item()
        return next(
            short for digits in range(1, 10) if cpu.tensor(short := float(f"{value:.{digits}g}")).item() == value
        )
    return [_numbers(part) for part in tensor]


def _json(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n  " + ",\n  ".join(json.dumps(row) for row in value) + "\n]"
    return json.dumps(value)


@cache
def natural_statistics(channels: int = 3) -> ImageStatistics:
    """The bundled statistics of 400 ImageNet photographs at 256 px: see `docs/statistics.md`.

    Args:
        channels: 3 for colours; 1 for their luminance. Channels of any other number are of unknown kinds: each has
            the statistics of the luminance, and they do not correlate.

    Raises:
        BadInput: for less than one channel.

    Example:
        >>> natural_statistics(1).mean
        tensor([0.4610])
    """
    if not isinstance(channels, int) or channels < 1:
        raise BadInput(f"expected a number of channels of at least 1, got {channels!r}")
    natural = ImageStatistics.load(BUNDLED)
    return natural if channels == natural.channels else _luminance(natural, channels)


def _luminance(natural: ImageStatistics, channels: int) -> ImageStatistics:
    """The statistics of the luminance y = w . colour of pictures, for each of some channels that do not correlate."""
    weights = natural.mean.new_tensor(LUMA)
    # y = w . mean + (w . basis) t: the powers of decorrelated channels t add up.
    share = weights @ natural.color_basis()
    deviation = share.norm()
    magnitude = (share[:, None] * natural.magnitude).norm(dim=0) / deviation
    return ImageStatistics(
        mean=(weights @ natural.mean).expand(channels).clone(),
        covariance=deviation.square() * torch.eye(channels, dtype=weights.dtype, device=weights.device),
        frequencies=natural.frequencies,
        magnitude=magnitude.expand(channels, -1).clone(),
        images=natural.images,
        source=f"luminance of {natural.source}",
    )


def as_statistics(
    statistics: ImageStatistics | str | Path | None, image_channels: int | None = None
) -> ImageStatistics:
    """Statistics as given, from a file, or for None the bundled ones.

    Args:
        statistics: measured statistics, their file, or None.
        image_channels: number of channels of the pictures; None for those of the statistics (of the bundled ones: 3).

    Raises:
        BadInput: for a file that holds no statistics, or statistics of another number of channels.
        OSError: for a file that cannot be read.
    """
    if statistics is None:
        return natural_statistics(3 if image_channels is None else image_channels)
    found = statistics if isinstance(statistics, ImageStatistics) else ImageStatistics.load(statistics)
    if image_channels not in (None, found.channels):
        raise BadInput(
            f"got statistics of pictures of {plural(found.channels, 'channel')}, expected {image_channels}, as "
            f"the pictures have: measure them with channels {image_channels}"
        )
    return found
