"""Feature accentuation: any prior that starts from an image and stays close to it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from inverter_errors import BadInput, plural
from priors.base import Prior, check_images
from priors.fourier import Fourier
from priors.frozen import Frozen, Shared


class Accentuate(Prior):
    """A prior that starts at images x0 and penalises the distance from them (Hamblin et al. 2024).

    The penalty is R(x) + strength d(x, x0), with R that of the inner prior. What an objective changes under it is what
    it responds to *in this image*. The distance is relative:

        d(x, x0) = |phi(x) - phi(x0)|^2 / |phi(x0)|^2

    where phi is the picture itself, minus mid-grey, or the features of a layer. Features are the paper's choice: they
    let a picture move within the invariances of the network.

    Args:
        images: (B, C, H, W) or (C, H, W) in [0, 1], the starts.
        start: a function from images (B, C, H, W) to a prior that starts there: `Fourier.from_image` or any other
            `from_image`; `partial(Maco.from_image, keep_magnitude=True)` is the paper's own parameterisation, in which
            only the phases are free.
        strength: weight >= 0 of the distance, in units of the objective: 1 for 100 % of relative change.
        features: phi, from pictures (B, C, H, W) to tensors (B, ...), differentiable; None takes the pixels. A
            module is copied and frozen; the weights behind a function must not require gradients.

    Raises:
        BadInput: for images of another shape or range, a strength below 0, or a start that does not return a started
            prior of as many pictures.

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
        images = check_images(images, None)
        super().__init__(len(images))
        if not strength >= 0:
            raise BadInput(f"strength must be >= 0, got {strength!r}")
        self.start, self.strength = Shared(start), strength
        self.features: Callable[[Tensor], Tensor] | None = None
        if features is not None:
            self.features = Frozen(features) if isinstance(features, nn.Module) else Shared(features)
        self.prior = start(images)
        if not isinstance(self.prior, Prior) or self.prior.count != self.count or not self.prior.started:
            raise BadInput(
                f"start made {self.prior!r}, expected a prior that has started with {plural(self.count, 'picture')}"
            )
        self.batched = ("reference", *(f"prior.{name}" for name in self.prior.batched))  # type: ignore[misc]
        # A random start has a long way to go. Here, large first steps would leave the image before the distance pulls.
        self.learning_rate = self.prior.learning_rate / 6  # type: ignore[misc]
        self.momentum = self.prior.momentum  # type: ignore[misc]
        self.recordable = self.prior.recordable and not isinstance(self.features, Shared)  # type: ignore[misc]
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
        """Returns to the images: every attempt starts there, without random draws.

        Args:
            generators: one for each picture; none of them is used.

        Raises:
            BadInput: for another number of generators.
        """
        if len(generators) != self.count:
            raise BadInput(f"expected {plural(self.count, 'generator')}, one for each picture, got {len(generators)}")
        fresh = self.start(self.reference.cpu())
        self.prior.load_state_dict(fresh.state_dict())

    def forward(self) -> Tensor:
        return self.prior()

    def variant(self, step: int) -> Hashable:
        return self.prior.variant(step)

    def project(self, step: int) -> None:
        self.prior.project(step)

    def energy(self, image: Tensor) -> Tensor:
        return self.prior.energy(image) + self.strength * self.distance(image)

    def distance(self, image: Tensor) -> Tensor:
        """The relative distance d(x, x0) of each picture from its start.

        Args:
            image: x, (B, C, H, W) in [0, 1].

        Returns:
            (B,) >= 0; at 1 the change is as large as phi(x0) itself.
        """
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
