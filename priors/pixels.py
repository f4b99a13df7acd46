"""Pixels as free parameters, with optional penalties, blur and bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter_errors import BadInput, plural
from priors import cpu
from priors.base import Prior, Size, as_size, check_images
from priors.penalties import alpha_norm, l2, total_variation


class Pixels(Prior):
    """Pixels are free parameters, clamped to [0, 1] (Simonyan et al. 2014; Mahendran & Vedaldi 2015).

    Simonyan et al.'s class models are `Pixels(mean=DATA_MEAN, spread=0, l2=WEIGHT)`: a zero image plus the data mean.

    Args:
        count: number of pictures, B.
        size: pixels, one number or (height, width).
        l2: weight >= 0 of the penalty `priors.l2`. R is the sum of the weighted penalties, in units of the objective.
        alpha_norm: weight >= 0 of the penalty `priors.alpha_norm`.
        total_variation: weight >= 0 of the penalty `priors.total_variation`. A photograph has about .01 of it, so that
            with a weight of 10 times the expected score it amounts to a tenth of the score.
        alpha: exponent of the alpha-norm.
        beta: exponent of total variation.
        spread: standard deviation of the initial noise around the mean; 0 starts flat.
        mean: the colour, one number or one for each channel in [0, 1], of the start, from which l2, alpha-norm and
            bound measure the distance: `natural_statistics().mean.tolist()` is that of photographs.
        blur: standard deviation in pixels of a Gaussian blur after every `blur_every`-th step (Yosinski et al. 2015,
            section 3); 0 for none.
        blur_every: steps between blurs, >= 1.
        bound: hard upper limit, > 0, of the Euclidean distance of a pixel's colour from the mean (Mahendran & Vedaldi
            2016, B+); None for none.
        image_channels: number of channels of the pictures, C; None for as many as `mean` has numbers, or else 3.

    Raises:
        BadInput: for a count, size, weight, colour, blur or bound out of its range.

    Example:
        >>> Pixels(2, size=32, total_variation=10.0)().shape
        torch.Size([2, 3, 32, 32])
    """

    learning_rate: ClassVar[float] = 0.02
    recordable: ClassVar[bool] = True
    mean: Tensor

    def __init__(
        self,
        count: int = 1,
        size: Size = 224,
        l2: float = 0.0,
        alpha_norm: float = 0.0,
        total_variation: float = 0.0,
        alpha: float = 6.0,
        beta: float = 2.0,
        spread: float = 0.05,
        mean: float | Sequence[float] = 0.5,
        blur: float = 0.0,
        blur_every: int = 4,
        bound: float | None = None,
        image_channels: int | None = None,
    ) -> None:
        super().__init__(count)
        weights = {"l2": l2, "alpha_norm": alpha_norm, "total_variation": total_variation}
        for name, weight in weights.items():
            if not weight >= 0:
                raise BadInput(f"the weight {name} must be >= 0, got {weight!r}")
        self.weights = weights
        self.alpha, self.beta, self.spread = alpha, beta, spread
        if not blur >= 0 or not isinstance(blur_every, int) or blur_every < 1:
            raise BadInput(
                f"expected a blur of >= 0 pixels and an integer blur_every >= 1, got blur={blur!r} and "
                f"blur_every={blur_every!r}"
            )
        if bound is not None and not bound > 0:
            raise BadInput(f"bound must be > 0, or None for no bound, got {bound!r}")
        self.blur, self.blur_every, self.bound = blur, blur_every, bound
        self.register_buffer("mean", _colour(mean, image_channels), persistent=False)
        self.pixels = nn.Parameter(self.mean.expand(count, -1, *as_size(size)).clone())

    @classmethod
    def from_image(cls, images: Tensor, **options: Any) -> Self:
        """A prior that starts exactly at the given images.

        Args:
            images: (B, C, H, W) or (C, H, W) in [0, 1].
            **options: as in the constructor.

        Raises:
            BadInput: for images of another shape or range, or options out of their range.
        """
        images = check_images(images, None)
        prior = cls(len(images), (images.shape[2], images.shape[3]), **options | {"image_channels": images.shape[1]})
        prior.pixels.data.copy_(images)
        prior.started = True
        return prior

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        for picture, generator in zip(self.pixels, generators, strict=True):
            noise = cpu.randn(picture.shape, generator=generator)
            picture.copy_((self.mean.cpu() + self.spread * noise).clamp(0, 1))
        self.started = True

    def forward(self) -> Tensor:
        return self.pixels

    def variant(self, step: int) -> bool:
        return bool(self.blur) and (step + 1) % self.blur_every == 0

    @torch.no_grad()
    def project(self, step: int) -> None:
        if self.variant(step):
            self.pixels.copy_(gaussian_blur(self.pixels, self.blur))
        if self.bound is not None:
            away = self.pixels - self.mean
            share = self.bound / away.norm(dim=1, keepdim=True).clamp_min(self.bound)
            self.pixels.copy_(self.mean + share * away)
        self.pixels.clamp_(0, 1)

    def energy(self, image: Tensor) -> Tensor:
        total = image.new_zeros(len(image))
        if weight := self.weights["l2"]:
            total = total + weight * l2(image + (0.5 - self.mean))
        if weight := self.weights["alpha_norm"]:
            total = total + weight * alpha_norm(image + (0.5 - self.mean), self.alpha)
        if weight := self.weights["total_variation"]:
            total = total + weight * total_variation(image, self.beta)
        return total


def _colour(mean: float | Sequence[float], channels: int | None) -> Tensor:
    """`mean` as (C, 1, 1), after checking it."""
    values = [mean] * (channels or 3) if isinstance(mean, int | float) else list(mean)
    colour = cpu.tensor(values)
    if colour.shape != (channels or len(values),) or not bool(((colour >= 0) & (colour <= 1)).all()):
        number = f"each of {plural(channels, 'channel')}" if channels else "each channel"
        raise BadInput(f"mean must be a number in [0, 1] or one for {number}, got {mean!r}")
    return colour.view(-1, 1, 1)


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """`image` (B, C, H, W) blurred by a Gaussian of `sigma` > 0 pixels, with replicated borders.

    Example:
        >>> gaussian_blur(torch.eye(5)[None, None], 1.0).shape
        torch.Size([1, 1, 5, 5])
    """
    radius = math.ceil(3 * sigma)
    places = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.softmax(-(places / sigma).square() / 2, 0)
    padded = F.pad(image, (radius,) * 4, mode="replicate")
    planes = padded.flatten(0, 1)[:, None]  # each colour is a plane of its own: all have the same kernel
    blurred = F.conv2d(F.conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    return blurred.view(image.shape)
