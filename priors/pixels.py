"""Raw pixels with penalties: the oldest prior, and the weakest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from priors.base import Prior, Size, as_size, check_images
from priors.penalties import alpha_norm, l2, total_variation


class Pixels(Prior):
    """Every pixel is a free number, held in [0, 1] (Simonyan et al. 2014; Mahendran & Vedaldi 2015).

    Args:
        count: number of pictures, B.
        size: pixels, one number or (height, width).
        l2, alpha_norm, total_variation: weights >= 0 of these penalties (see `priors.penalties`); their sum is the
            energy R. They are weighed against the objective's own units: total variation of a natural photograph is
            about .01, so a weight of 10 % of the expected score / .01 makes it count for a tenth.
        alpha, beta: exponents of the alpha-norm and of total variation.
        spread: standard deviation of the noise around mid-grey that it starts from.

    Raises:
        ValueError: for a count, size or weight out of its range.

    Example:
        >>> Pixels(2, size=32, total_variation=10.0)().shape
        torch.Size([2, 3, 32, 32])
    """

    learning_rate: ClassVar[float] = 0.02

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
    ) -> None:
        super().__init__(count)
        weights = {"l2": l2, "alpha_norm": alpha_norm, "total_variation": total_variation}
        for name, weight in weights.items():
            if not weight >= 0:
                raise ValueError(f"the weight {name} must be >= 0, got {weight!r}")
        self.weights = weights
        self.alpha, self.beta, self.spread = alpha, beta, spread
        self.pixels = nn.Parameter(torch.full((count, 3, *as_size(size)), 0.5))

    @classmethod
    def from_image(cls, images: Tensor, **options: float) -> Self:
        """A prior that starts at `images` (B, 3, H, W) in [0, 1], exactly; `options` as in the constructor."""
        images = check_images(images)
        prior = cls(len(images), (images.shape[2], images.shape[3]), **options)
        prior.pixels.data.copy_(images)
        prior.started = True
        return prior

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        for picture, generator in zip(self.pixels, generators, strict=True):
            noise = torch.randn(picture.shape, generator=generator)
            picture.copy_((0.5 + self.spread * noise).clamp(0, 1))
        self.started = True

    def forward(self) -> Tensor:
        return self.pixels

    @torch.no_grad()
    def project(self, step: int) -> None:
        self.pixels.clamp_(0, 1)

    def energy(self, image: Tensor) -> Tensor:
        total = image.new_zeros(len(image))
        if weight := self.weights["l2"]:
            total = total + weight * l2(image)
        if weight := self.weights["alpha_norm"]:
            total = total + weight * alpha_norm(image, self.alpha)
        if weight := self.weights["total_variation"]:
            total = total + weight * total_variation(image, self.beta)
        return total
