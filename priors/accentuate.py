"""Feature accentuation: any prior that starts from an image, and stays near it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from inverter_errors import BadInput
from priors.base import Prior, check_images
from priors.fourier import Fourier
from priors.frozen import Frozen, Shared


class Accentuate(Prior):
    """A prior that starts at images x0 and pays for leaving them, R + strength d(x, x0) (Hamblin et al. 2024).

    What an objective then changes in a photograph is what it sees *in this photograph*. The distance is relative:

        d(x, x0) = |phi(x) - phi(x0)|^2 / |phi(x0)|^2

    with phi the picture itself, as distance from mid-grey, or what `features` computes from it (a layer of a network:
    the paper's choice, which lets a picture move within what the network takes for the same).

    Args:
        images: (B, C, H, W) or (C, H, W) in [0, 1], the starts.
        start: from images (B, C, H, W) to a prior that starts there: `Fourier.from_image` and any other `from_image`;
            `partial(Maco.from_image, keep_magnitude=True)` is the paper's own parameterisation, phases alone.
        strength: weight >= 0 of the distance, in units of the objective: 1 for 100 % of relative change.
        features: phi, from pictures (B, C, H, W) to tensors (B, ...), differentiable; None takes the pixels. A
            module is copied and frozen; of a function, the weights behind it must not ask for gradients.

    Raises:
        BadInput: for images of another shape or range, a strength below 0, or a start that gives another batch.

    Example:
        >>> photo = torch.rand(1, 3, 16, 16)
        >>> prior = Accentuate(photo, strength=2.0)
        >>> bool((prior() - photo).abs().max() < 0.01), round(prior.energy(prior()).item(), 3)
        (True, 0.0)
    """

    reference: Tensor

    def __init__(
        self,
        images: Tensor,
        start: Callable[[Tensor], Prior] = Fourier.from_image,
        strength: float = 1.0,
        features: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        images = check_images(images, images.shape[-3] if images.ndim in (3, 4) else 3)
        super().__init__(len(images))
        if not strength >= 0:
            raise BadInput(f"strength must be >= 0, got {strength!r}")
        self.start, self.strength = Shared(start), strength
        self.features: Callable[[Tensor], Tensor] | None = None
        if features is not None:
            self.features = Frozen(features) if isinstance(features, nn.Module) else Shared(features)
        self.prior = start(images)
        if not isinstance(self.prior, Prior) or self.prior.count != self.count or not self.prior.started:
            raise BadInput(f"start made {self.prior!r}, expected a prior that has started with {self.count} pictures")
        self.batched = ("reference", *(f"prior.{name}" for name in self.prior.batched))  # type: ignore[misc]
        # A start from nothing has far to go; here the first steps must not leave what the distance has yet to hold.
        self.learning_rate = self.prior.learning_rate / 6  # type: ignore[misc]
        self.momentum = self.prior.momentum  # type: ignore[misc]
        self.register_buffer("reference", images.clone())
        self._known: Tensor | None = None
        self.started = True

    def take(self, rows: Tensor) -> Self:
        taken = super().take(rows)
        taken.prior.count = taken.count
        taken._known = None
        return taken

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Back to the images: there is nothing to draw, and every attempt starts there."""
        if len(generators) != self.count:
            raise BadInput(f"expected {self.count} generators, one for each picture, got {len(generators)}")
        fresh = self.start(self.reference.cpu())
        self.prior.load_state_dict(fresh.state_dict())

    def forward(self) -> Tensor:
        return self.prior()

    def project(self, step: int) -> None:
        self.prior.project(step)

    def energy(self, image: Tensor) -> Tensor:
        return self.prior.energy(image) + self.strength * self.distance(image)

    def distance(self, image: Tensor) -> Tensor:
        """d(x, x0) of each of `image` (B, C, H, W), (B,) >= 0; 1 is a change as large as what is there."""
        if self.features is None:
            code, known = image - 0.5, self.reference - 0.5
        else:
            code = self.features(image)
            if self._known is None or self._known.device != code.device:
                with torch.no_grad():
                    self._known = self.features(self.reference)
            known = self._known
        change = (code - known).float().square().flatten(1).mean(1)
        return change / known.float().square().flatten(1).mean(1).clamp_min(1e-6)
