"""The Laplacian pyramid with decorrelated colours: free parameters at every scale, from coarse to full resolution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter_errors import BadInput
from priors import cpu
from priors.base import Prior, Size, as_size, check_images
from priors.color import decorrelate, from_image, recorrelate, to_image
from priors.contrast import limited, unlimited
from priors.statistics import ImageStatistics, as_statistics


class Pyramid(Prior):
    """Pictures as a sum of maps, each half as large as the one before (Burt & Adelson 1983; Mordvintsev et al. 2018).

    image = sigmoid(soft_limit(basis @ p_0)) with p_k = gain_k level_k + enlarge(p_{k+1}): a step changes all scales
    alike, as in natural images, whose contrast is about the same in every octave. Unlike in `Fourier`, parameters are
    local: changes in one corner do not affect another.

    Args:
        count: number of pictures, B.
        size: pixels, one number or (height, width).
        levels: number of maps; with None the smaller side of the coarsest is 4 pixels or less.
        decay: level k has the gain 2^(decay k): 0 treats all octaves alike, higher values are smoother.
        spread: standard deviation of the initial parameters.
        contrast: upper limit, > 0, of the root mean square of a picture's colours before the sigmoid, as in `Fourier`.
        statistics: statistics of natural images for the colours: measured ones or their file (`inverter statistics`);
            None takes the bundled ones.
        image_channels: number of channels of the pictures, C; None for those of the statistics (3 for the bundled
            ones). Without statistics, 1 takes the luminance of the bundled ones, and any other number one spectrum
            for each channel.

    Raises:
        BadInput: for a count, size, contrast or number of levels out of its range, a file that holds no statistics, or
            statistics of another number of channels.
        OSError: for a file that cannot be read.

    Example:
        >>> prior = Pyramid(2, size=(32, 48))
        >>> [tuple(level.shape[2:]) for level in prior.levels]
        [(32, 48), (16, 24), (8, 12), (4, 6)]
        >>> prior().shape
        torch.Size([2, 3, 32, 48])
    """

    learning_rate: ClassVar[float] = 0.12
    recordable: ClassVar[bool] = True
    batched: ClassVar[tuple[str, ...]] = ("limit",)
    basis: Tensor
    limit: Tensor

    def __init__(
        self,
        count: int = 1,
        size: Size = 224,
        levels: int | None = None,
        decay: float = 0.25,
        spread: float = 0.01,
        contrast: float = 2.5,
        statistics: ImageStatistics | str | Path | None = None,
        image_channels: int | None = None,
    ) -> None:
        super().__init__(count)
        self.size = as_size(size)
        if levels is not None and (not isinstance(levels, int) or levels < 1):
            raise BadInput(f"levels must be an integer of at least 1, or None, got {levels!r}")
        self.spread = spread
        if not contrast > 0:
            raise BadInput(f"contrast must be above 0, got {contrast!r}")
        self.register_buffer("limit", cpu.full((count,), float(contrast)))
        natural = as_statistics(statistics, image_channels)
        basis = natural.color_basis()
        self.register_buffer("basis", basis / basis.norm(dim=0).max(), persistent=False)
        sizes = [self.size]
        while len(sizes) < levels if levels else min(sizes[-1]) > 4:
            height, width = sizes[-1]
            sizes.append(((height + 1) // 2, (width + 1) // 2))
        self.gains = [2 ** (decay * k) for k in range(len(sizes))]
        self.levels = nn.ParameterList(cpu.zeros(count, natural.channels, *size) for size in sizes)

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
        colors, prior.limit = unlimited(from_image(images), prior.limit)
        channels = decorrelate(colors, prior.basis)
        for k, level in enumerate(prior.levels):
            if k + 1 == len(prior.levels):
                rest, coarse = channels, channels
            else:
                coarse = F.adaptive_avg_pool2d(channels, prior.levels[k + 1].shape[2:])
                rest = channels - enlarge(coarse, channels.shape[2:])
            level.data = rest / prior.gains[k]
            channels = coarse
        prior.started = True
        return prior

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        for level in self.levels:
            for picture, generator in zip(level, generators, strict=True):
                picture.copy_(self.spread * cpu.randn(picture.shape, generator=generator))
        self.started = True

    def forward(self) -> Tensor:
        *finer, coarsest = (gain * level for gain, level in zip(self.gains, self.levels, strict=True))
        channels = coarsest
        for level in reversed(finer):
            channels = level + enlarge(channels, level.shape[2:])
        colors = recorrelate(channels, self.basis)
        return to_image(limited(colors, self.limit))


def enlarge(image: Tensor, size: Sequence[int]) -> Tensor:
    """`image` (B, C, h, w) at `size` (height, width), bilinear; repeated, it approaches a smooth spline."""
    return F.interpolate(image, size=tuple(size), mode="bilinear", align_corners=False)
