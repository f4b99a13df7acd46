"""MACO: the Fourier magnitude of pictures is that of natural images, and only the phase is free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from inverter_errors import BadInput
from priors import cpu
from priors.base import Prior, Size, as_size, check_images
from priors.color import decorrelate, from_image, logit_moments, recorrelate, to_image
from priors.spectrum import multiplicity
from priors.statistics import ImageStatistics, as_statistics


class Maco(Prior):
    """Magnitude-constrained pictures, sigmoid(centre + basis @ irfft2(r e^(i phase))) with r fixed (Fel et al. 2023).

    The phase determines what a picture shows, the magnitude how natural it looks. With the magnitude fixed, no
    objective can introduce excessive high frequencies.

    Contrast. The decorrelated channels have mean 0 and variance 1 over the canvas *for any phase* (Parseval), at every
    canvas size. `basis` is the colour basis of the statistics, with each row scaled, and `centre` a colour, such that
    normally distributed pixels have exactly the mean and the standard deviation of natural images after the sigmoid
    (`logit_moments`; colour correlations are about .02 weaker). The random start is of this kind. A picture that has
    become sparse (edges on a plain background) keeps its contrast before the sigmoid and differs a little after it.
    (The authors standardise the entire canvas and stretch it to a free range instead.)

    The magnitude is fixed *exactly*. `irfft2` reads the first column (and the last one, if the width is even) twice,
    once as its own mirror image. Their phases are made odd here; two free phases would add up to any magnitude.
    The coefficients that are real by symmetry have a sign instead of a phase; it never changes. The constant one is 0.

    Range. Half of the degrees of freedom of a picture are its magnitudes, so this prior cannot fit an arbitrary
    picture: its range are the pictures with its own magnitudes. Those it fits from any start to any precision, since
    to first order the squared error is a sum of independent 1 - cos(phase difference), with one minimum each.
    `from_image(keep_magnitude=True)` takes the magnitudes of the given images and starts exactly there.

    Args:
        count: number of pictures, B.
        size: pixels, one number or (height, width); usually canvases of 500 to 2048 px, which the network sees in
            crops.
        statistics: statistics of natural images: measured ones or their file (`inverter statistics`); None takes the
            bundled ones.
        contrast: standard deviation of the pixels relative to natural images, > 0.
        image_channels: number of channels of the pictures, C; None for those of the statistics (3 for the bundled
            ones). Without statistics, 1 takes the luminance of the bundled ones, and any other number one spectrum
            for each channel.

    Raises:
        BadInput: for a count, size or contrast out of range, a file that holds no statistics, or statistics of another
            number of channels.
        OSError: for a file that cannot be read.

    Example:
        >>> prior = Maco(2, size=(512, 768))
        >>> prior.reset([torch.Generator().manual_seed(seed) for seed in (0, 1)])
        >>> prior().shape
        torch.Size([2, 3, 512, 768])
    """

    # On SqueezeNet's logits (256 px, 80 steps, cosine schedule) Adam is best from .4 to 1, on a par with NAdam at 1.
    learning_rate: ClassVar[float] = 0.4
    recordable: ClassVar[bool] = True
    cropped: ClassVar[bool] = True
    watching: ClassVar[bool] = True
    batched: ClassVar[tuple[str, ...]] = ("magnitude", "centre", "importance")
    importance: Tensor
    magnitude: Tensor
    centre: Tensor
    basis: Tensor

    def __init__(
        self,
        count: int = 1,
        size: Size = 512,
        statistics: ImageStatistics | str | Path | None = None,
        contrast: float = 1.0,
        image_channels: int | None = None,
    ) -> None:
        super().__init__(count)
        self.size = height, width = as_size(size)
        if not contrast > 0:
            raise BadInput(f"contrast must be > 0, got {contrast!r}")
        natural = as_statistics(statistics, image_channels)
        deviation = natural.covariance.diagonal().sqrt()
        centre, spread = logit_moments(natural.mean, contrast * deviation)
        magnitude = _unit_variance(natural.spectrum(height, width), width)
        self.register_buffer("basis", natural.color_basis() * (spread / deviation)[:, None])
        self.register_buffer("centre", centre.expand(count, -1)[..., None, None].clone())
        self.register_buffer("magnitude", magnitude.expand(count, -1, -1, -1).clone())
        self.phase = nn.Parameter(torch.zeros_like(self.magnitude))
        self.register_buffer("importance", cpu.zeros(count, 1, height, width))

    @classmethod
    def from_image(
        cls,
        images: Tensor,
        statistics: ImageStatistics | str | Path | None = None,
        contrast: float = 1.0,
        keep_magnitude: bool = False,
    ) -> Self:
        """A prior that starts from the phases of the given images.

        The start has the phases of the images with natural magnitudes, colours and contrast. It equals the images, to
        half a step of 8 bits, only if their own magnitudes (and mean colours) are kept.

        Args:
            images: (B, C, H, W) or (C, H, W), values in [0, 1].
            statistics: as in the constructor.
            contrast: as in the constructor.
            keep_magnitude: True fixes the magnitudes of each image instead of the natural ones.

        Raises:
            BadInput: if the images have another shape or range; otherwise as in the constructor.
        """
        images = check_images(images, None)
        prior = cls(len(images), (images.shape[2], images.shape[3]), statistics, contrast, images.shape[1])
        logits = from_image(images)
        if keep_magnitude:
            prior.centre.copy_(logits.mean((2, 3), keepdim=True))
        channels = decorrelate(logits - prior.centre.to(logits), prior.basis)
        spectrum = torch.fft.rfft2(channels, norm="ortho").to(prior.phase.device)
        if keep_magnitude:
            prior.magnitude.copy_(spectrum.abs())
            prior.magnitude[..., 0, 0] = 0
        prior.phase.data.copy_(spectrum.angle())
        prior.started = True
        return prior

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        for picture, generator in zip(self.phase, generators, strict=True):
            picture.copy_((2 * cpu.rand(picture.shape, generator=generator) - 1) * math.pi)
        self.importance.zero_()
        self.started = True

    @torch.no_grad()
    def watch(self, gradient: Tensor) -> None:
        self.importance += gradient.abs().mean(1, keepdim=True)

    def transparency(self, percentile: float = 80.0) -> Tensor:
        """The importance mask of the steps so far, (B, 1, H, W) in [0, 1]: see `priors.transparency`."""
        return transparency(self.importance, percentile)

    def forward(self) -> Tensor:
        channels = _Phased.apply(self.phase, self.magnitude, self.size[1])
        return to_image(recorrelate(channels, self.basis) + self.centre)


def _unit_variance(magnitude: Tensor, width: int) -> Tensor:
    """`magnitude` (C, H, W // 2 + 1) without its constant part, scaled so that each channel has variance 1."""
    magnitude = magnitude.double()
    magnitude[:, 0, 0] = 0
    height = magnitude.shape[1]
    power = (magnitude.square() * multiplicity(height, width)).sum((1, 2), keepdim=True) / (height * width)
    # A canvas of one pixel has only its constant part.
    return (magnitude / power.sqrt().clamp(min=1e-12)).float()


def _own(width: int) -> slice:
    """The columns of `rfft2` that are their own mirror image: the first one, and the last one of an even width."""
    return slice(0, None, width // 2) if width % 2 == 0 else slice(0, 1)


def _odd(own: Tensor) -> Tensor:
    """Phases (..., H, k) of such columns made consistent: odd from top to bottom, and 0 or pi where they are real."""
    height = own.shape[-2]
    middle = (height - 1) // 2  # rows 1 .. middle are free, and the rows from the end backwards mirror them
    free = own[..., 1 : middle + 1, :]
    # The remaining one or two rows are real: 0 or pi, whichever is nearer.
    real = (own.cos() < 0).to(own) * math.pi
    rows = [real[..., :1, :], free, *([real[..., height // 2 : height // 2 + 1, :]] if height % 2 == 0 else [])]
    return torch.cat([*rows, -free.flip(-2)], -2)


class _Phased(torch.autograd.Function):
    """irfft2(magnitude e^(i phase)), with `_odd` phases where they must be, and its gradient by the phase.

    Written out: on a large canvas torch's own `polar` takes three times as long.
    """

    @staticmethod
    def forward(ctx: Any, phase: Tensor, magnitude: Tensor, width: int) -> Tensor:
        spectrum = torch.complex(phase.cos().mul_(magnitude), phase.sin().mul_(magnitude))
        own = _own(width)
        spectrum[..., own] = torch.polar(magnitude[..., own], _odd(phase[..., own]))
        ctx.save_for_backward(spectrum)
        ctx.width = width
        # In two steps, `irfft2` copies it once less.
        image: Tensor = torch.fft.irfft(torch.fft.ifft(spectrum, dim=-2, norm="ortho"), n=width, norm="ortho")
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        (spectrum,) = ctx.saved_tensors
        inner = torch.fft.rfft2(gradients[0], norm="ortho")
        # The imaginary part of conj(spectrum) * inner. Each of these coefficients stands for two of the full spectrum,
        # except those of the own columns.
        gradient = (spectrum.real * inner.imag).addcmul_(spectrum.imag, inner.real, value=-1).mul_(2)
        own = _own(ctx.width)
        mirrored, middle = gradient[..., own] / 2, (gradient.shape[-2] - 1) // 2
        free = torch.zeros_like(mirrored)
        if middle:
            free[..., 1 : middle + 1, :] = mirrored[..., 1 : middle + 1, :] - mirrored[..., -middle:, :].flip(-2)
        gradient[..., own] = free
        return gradient, None, None


def transparency(importance: Tensor, percentile: float = 80.0) -> Tensor:
    """The opacity of each pixel by its accumulated absolute gradient (Fel et al. 2023, importance mask).

    The absolute gradients of the objective with respect to the picture are summed over all steps and averaged over
    colours; values above the percentile become fully opaque, the others in proportion.

    Args:
        importance: (B, C, H, W), >= 0: the sum over steps of |d score / d image|.
        percentile: in (0, 100].

    Returns:
        (B, 1, H, W) in [0, 1], for the alpha channel of the picture; 0 for pixels that never had a gradient.

    Raises:
        BadInput: if the shape, a value or the percentile is out of range.

    Example:
        >>> transparency(torch.ones(1, 3, 8, 8)).unique().item()
        1.0
    """
    if importance.ndim != 4:
        raise BadInput(f"expected accumulated gradients (B, C, H, W), got shape {tuple(importance.shape)}")
    if not 0 < percentile <= 100:
        raise BadInput(f"expected a percentile in (0, 100], got {percentile!r}")
    if not bool((importance >= 0).all()):
        raise BadInput("expected accumulated gradients >= 0: sum their absolute values")
    mean = importance.detach().float().mean(1, keepdim=True)
    flat = mean.flatten(1)
    # kthvalue and not quantile, which refuses more than 2^24 numbers: a batch of large canvases.
    full = flat.kthvalue(max(1, math.ceil(percentile / 100 * flat.shape[1])), 1).values
    full = torch.where(full > 0, full, flat.amax(1))  # nearly all of it is zero: scale by the largest
    return (mean / full.clamp(min=torch.finfo(mean.dtype).tiny)[:, None, None, None]).clamp(max=1)
