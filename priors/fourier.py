"""The Fourier basis with decorrelated colours: gradient ascent in the whitened space of natural images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from inverter_errors import BadInput
from priors import cpu
from priors.base import Prior, Size, as_size, check_images
from priors.color import decorrelate, from_image, recorrelate, to_image
from priors.contrast import limited, unlimited
from priors.spectrum import real_inverse
from priors.statistics import ImageStatistics, as_statistics


def frequency_scale(height: int, width: int, decay: float) -> Tensor:
    """1 / f^decay for each coefficient of a real 2-D Fourier transform, (H, W // 2 + 1), f in cycles per pixel.

    The constant component is scaled as one cycle over the longer side (Olah et al. 2017, appendix).
    """
    fy = cpu.fftfreq(height)[:, None]
    fx = cpu.rfftfreq(width)[None]
    return (fy.square() + fx.square()).sqrt().clamp_min(1 / max(height, width)).pow(-decay)


class Fourier(Prior):
    """Pictures as scaled Fourier coefficients of decorrelated colours (Olah et al. 2017, preconditioning).

    image = sigmoid(mean + soft_limit(basis @ irfft2(scale * coefficients))): steps of equal size in the parameters are
    equally likely changes of natural images, whose amplitudes fall off with frequency and whose colours are correlated.
    Optimisation then finds other, more natural local optima of the same objective, in far fewer steps than on pixels.

    Args:
        count: number of pictures, B.
        size: pixels, one number or (height, width).
        decay: None scales each colour channel by the measured spectrum of natural images; a number by 1 / f^decay
            (1 is Olah et al.'s; higher is smoother).
        spread: standard deviation of the initial coefficients.
        contrast: upper limit, > 0, of the root mean square of a picture's colours before the sigmoid. Photographs
            have 1.7 (half of them 1.2 to 2.0); without a limit (`math.inf`), units that respond to contrast saturate
            their pictures to pure black, white and primary colours.
        statistics: statistics of natural images for the colours (and the spectrum): measured ones or their file
            (`inverter statistics`); None takes the bundled ones.
        natural_mean: True starts from their mean colour and measures contrast from there, False from mid-grey.
            Mid-grey is bluer than photographs are, and networks amplify that: their pictures get a blue cast.
        cast: factor > 0 on the scale of the lowest frequencies, up to one cycle per picture, of all decorrelated
            channels but the first, which is nearly grey. Below 1, a picture takes on less of a single colour.
        image_channels: number of channels of the pictures, C; None for those of the statistics (3 for the bundled
            ones). Without statistics, 1 takes the luminance of the bundled ones, and any other number one spectrum
            for each channel.

    Raises:
        BadInput: for a count, size, contrast or cast out of its range, a file that holds no statistics, or statistics
            of another number of channels.
        OSError: for a file that cannot be read.

    Example:
        >>> Fourier(2, size=(32, 48))().shape
        torch.Size([2, 3, 32, 48])
    """

    learning_rate: ClassVar[float] = 0.9
    recordable: ClassVar[bool] = True
    momentum: ClassVar[float] = 0.4
    batched: ClassVar[tuple[str, ...]] = ("limit",)
    basis: Tensor
    limit: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        count: int = 1,
        size: Size = 224,
        decay: float | None = None,
        spread: float = 0.01,
        contrast: float = 2.5,
        statistics: ImageStatistics | str | Path | None = None,
        natural_mean: bool = False,
        cast: float = 1.0,
        image_channels: int | None = None,
    ) -> None:
        super().__init__(count)
        self.size = as_size(size)
        self.spread = spread
        if not contrast > 0:
            raise BadInput(f"contrast must be above 0, got {contrast!r}")
        if not cast > 0:
            raise BadInput(f"cast must be above 0, got {cast!r}")
        self.register_buffer("limit", cpu.full((count,), float(contrast)))
        natural = as_statistics(statistics, image_channels)
        mean = from_image(natural.mean) if natural_mean else cpu.zeros(natural.channels)
        self.register_buffer("mean", mean[:, None, None], persistent=False)
        basis = natural.color_basis()
        self.register_buffer("basis", basis / basis.norm(dim=0).max(), persistent=False)
        # For any spectrum, the contrast is that of 1 / f over 4, as in Lucid: a start with spread .01 is then almost
        # flat grey, and one learning rate fits all spectra.
        usual = frequency_scale(*self.size, 1.0).square().mean().sqrt() / 4
        scale = natural.spectrum(*self.size) if decay is None else frequency_scale(*self.size, decay)
        scale = (scale * usual / scale.square().mean().sqrt()).repeat(natural.channels if scale.ndim == 2 else 1, 1, 1)
        scale[1:, [-1, 0, 1] if self.size[0] > 2 else 0, :2] *= cast
        self.register_buffer("scale", scale[..., None].contiguous(), persistent=False)
        self.coefficients = nn.Parameter(cpu.zeros(count, *self.scale.shape[:3], 2))

    @classmethod
    def from_image(cls, images: Tensor, **options: Any) -> Self:
        """A prior that starts at the given images, to within half a step of 8 bits.

        Args:
            images: (B, C, H, W) or (C, H, W) in [0, 1].
            **options: as in the constructor; the limit is raised for a picture of more contrast than `contrast`.

        Raises:
            BadInput: for images of another shape or range, or options out of their range.
        """
        images = check_images(images, None)
        prior = cls(len(images), (images.shape[2], images.shape[3]), **options | {"image_channels": images.shape[1]})
        colors, prior.limit = unlimited(from_image(images) - prior.mean, prior.limit)
        channels = decorrelate(colors, prior.basis)
        prior.coefficients.data = torch.view_as_real(torch.fft.rfft2(channels, norm="ortho")) / prior.scale
        prior.started = True
        return prior

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        for picture, generator in zip(self.coefficients, generators, strict=True):
            picture.copy_(self.spread * cpu.randn(picture.shape, generator=generator))
        self.started = True

    def forward(self) -> Tensor:
        spectrum = torch.view_as_complex(self.coefficients * self.scale)
        colors = recorrelate(real_inverse(spectrum, self.size), self.basis)
        return to_image(self.mean + limited(colors, self.limit))
