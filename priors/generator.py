"""Pictures from the latents of a trained generator; Plug & Play: a Langevin walk among them, with a denoiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter_errors import BadInput
from priors import cpu
from priors.base import Prior, Size, as_size
from priors.frozen import Frozen
from priors.generator_net import SIZE, BundledGenerator, load_generator
from priors.statistics import LUMA

Span = Literal["unit", "signed"]
"""The output range of a generator: [0, 1] or [-1, 1]."""

SPANS: Final[dict[str, tuple[float, float]]] = {"unit": (0.0, 1.0), "signed": (-1.0, 1.0)}
LARGEST = 128
"""Largest side in pixels at which the bundled generator renders; larger pictures are resampled."""
WALK = 128
"""Number of different noise vectors of a plug & play walk before they repeat."""


class GanLatent(Prior):
    """image = G(h) of a trained generator G, with free latents h (Nguyen et al. 2016, DGN-AM, eq. 1).

    R is `penalty` times the mean square of h, proportional to the negative log-density of normally distributed latents.

    Args:
        count: number of pictures, B.
        size: pixels, one number or (height, width), to which G's pictures are resampled; None keeps their own size.
            The bundled generator renders sizes up to 128 itself.
        generator: a module from (B, latent_size) to (B, 3 or 1, h, w), of which `image_channels` are made: a grey
            picture becomes equal channels, a coloured one its luminance. None takes the bundled one. It is copied and
            frozen: the given module is not modified.
        latent_size: length of a latent vector; None reads `generator.latent_size`.
        span: the output range of G: `unit` [0, 1] or `signed` [-1, 1].
        penalty: weight >= 0 of R.
        bound: the latents are clamped to [-bound, bound] (Nguyen et al. 2016, section 3), or to a pair (low, high);
            None for no bound.
        spread: standard deviation of the initial latents.
        image_channels: number of channels of the pictures, C.

    Raises:
        BadInput: for an option out of its range, or a generator that does not output pictures.
        MissingFile: if the package was installed without the bundled generator.

    Example:
        >>> net = nn.Sequential(nn.Linear(8, 48), nn.Unflatten(1, (3, 4, 4)), nn.Sigmoid())
        >>> GanLatent(2, size=32, generator=net, latent_size=8)().shape
        torch.Size([2, 3, 32, 32])
    """

    learning_rate: ClassVar[float] = 0.1
    recordable: ClassVar[bool] = True
    # Gradients lead from one pose to another, hardly from one class to another: random starts have to find the class.
    starts: ClassVar[int] = 256

    def __init__(
        self,
        count: int = 1,
        size: Size | None = None,
        generator: nn.Module | None = None,
        latent_size: int | None = None,
        span: Span = "unit",
        penalty: float = 0.0,
        bound: float | tuple[float, float] | None = 3.0,
        spread: float = 1.0,
        image_channels: int = 3,
    ) -> None:
        super().__init__(count)
        self.image_channels = image_channels
        self.size = None if size is None else as_size(size)
        if span not in SPANS:
            raise BadInput(f"unknown span {span!r}; expected unit for [0, 1] or signed for [-1, 1]")
        if not penalty >= 0:
            raise BadInput(f"penalty must be >= 0, got {penalty!r}")
        low, high = (-bound, bound) if isinstance(bound, int | float) else bound or (-torch.inf, torch.inf)
        if not low < high:
            raise BadInput(f"bound must be a number > 0 or a pair low < high, or None, got {bound!r}")
        module = load_generator() if generator is None else generator
        length = latent_size or getattr(module, "latent_size", None)
        if not isinstance(length, int) or length < 1:
            raise BadInput(
                f"latent_size must be an integer of at least 1, got {length!r}: give the length of the latents that "
                f"{type(module).__name__} reads"
            )
        self.span, self.penalty, self.bound, self.spread = span, penalty, (low, high), spread
        self.generator = Frozen(module)
        self.latent = nn.Parameter(cpu.zeros(count, length))
        self._check_generator()

    def _check_generator(self) -> None:
        """Raises BadInput if the generator does not turn two latents into two pictures within the span."""
        name = type(self.generator.module).__name__
        latent = cpu.randn(2, self.latent.shape[1], generator=torch.Generator("cpu").manual_seed(0))
        try:
            with torch.no_grad():
                drawn = self.generator(latent)
        except (RuntimeError, ValueError) as error:
            raise BadInput(
                f"the generator {name} does not read latents (B, {latent.shape[1]}): {error}; give its latent_size"
            ) from error
        if not isinstance(drawn, Tensor) or drawn.ndim != 4 or drawn.shape[0] != 2 or drawn.shape[1] not in (1, 3):
            given = f"shape {tuple(drawn.shape)}" if isinstance(drawn, Tensor) else type(drawn).__name__
            raise BadInput(
                f"the generator {name} outputs {given}, expected pictures (B, 3, H, W) or (B, 1, H, W); "
                "append nn.Unflatten(1, (1, H, W)) to one that outputs vectors"
            )
        low, high = SPANS[self.span]
        if not bool(((drawn >= low - 1e-3) & (drawn <= high + 1e-3)).all()):
            raise BadInput(
                f"the generator {name} outputs values from {drawn.min():.3g} to {drawn.max():.3g}, expected "
                f"[{low:g}, {high:g}]: choose span={'signed' if self.span == 'unit' else 'unit'!r}, or append a sigmoid"
            )

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        drawn = [cpu.randn(row.shape, generator=one) for row, one in zip(self.latent, generators, strict=True)]
        self.latent.copy_((self.spread * torch.stack(drawn)).clamp(*self.bound))  # one copy to a GPU, not one each
        self.started = True

    def forward(self) -> Tensor:
        return self._drawn(LARGEST)

    def draft(self) -> Tensor:
        return self._drawn(SIZE)

    def _drawn(self, largest: int) -> Tensor:
        if self.size and isinstance(self.generator.module, BundledGenerator):
            image = self.generator(self.latent, min(max(self.size), largest))
        else:
            image = self.generator(self.latent)
        low, high = SPANS[self.span]
        image = (image - low) / (high - low)
        if image.shape[1] != self.image_channels:
            grey = (
                image if image.shape[1] == 1 else (image * image.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
            )
            image = grey.expand(-1, self.image_channels, -1, -1)
        if self.size and image.shape[2:] != self.size:
            image = F.interpolate(image, size=self.size, mode="bilinear", align_corners=False, antialias=True)
        return image.clamp(0, 1)

    def energy(self, image: Tensor) -> Tensor:
        return self.penalty * self.latent.square().mean(1)

    @torch.no_grad()
    def project(self, step: int) -> None:
        self.latent.clamp_(*self.bound)


class PlugAndPlay(GanLatent):
    """A Langevin walk among the latents of a generator (Nguyen et al. 2017, Plug & Play Generative Networks).

    h <- h + eps1 (D(h) - h) + eps2 d f(G(h)) / dh + N(0, eps3^2), the paper's eq. 5 on latents. The *condition* (eps2)
    is the engine's gradient step, so eps2 is its learning rate; the *prior* (eps1) and the *noise* (eps3) follow it
    in `project`. D(h) - h is proportional to the gradient of log p(h) if D is a denoising autoencoder of latents
    (Alain & Bengio 2014). Without one, p(h) is the normal distribution, whose log-density has the gradient -h.

    Each picture has its own noise, drawn at `reset` and part of the state.

    Args:
        count: number of pictures, B.
        size: as in `GanLatent`.
        generator: as in `GanLatent`.
        latent_size: as in `GanLatent`.
        span: as in `GanLatent`.
        penalty: as in `GanLatent`.
        bound: as in `GanLatent`.
        spread: as in `GanLatent`.
        denoiser: a module from (B, latent_size) to the same shape; None for the normal distribution.
        prior_step: eps1, in [0, 1].
        noise: eps3, >= 0.
        image_channels: as in `GanLatent`.

    Raises:
        BadInput: as in `GanLatent`; for a step or noise out of range or a denoiser that changes the shape.
        MissingFile: if the package was installed without the bundled generator.

    Example:
        >>> net = nn.Sequential(nn.Linear(8, 48), nn.Unflatten(1, (3, 4, 4)), nn.Sigmoid())
        >>> prior = PlugAndPlay(1, generator=net, latent_size=8, prior_step=0.5, noise=0.0)
        >>> prior.reset([torch.Generator().manual_seed(0)])
        >>> before = prior.latent.norm().item()
        >>> prior.project(0)
        >>> round(prior.latent.norm().item() / before, 3)
        0.5
    """

    batched: ClassVar[tuple[str, ...]] = ("walk",)
    walk: Tensor

    def __init__(
        self,
        count: int = 1,
        size: Size | None = None,
        generator: nn.Module | None = None,
        latent_size: int | None = None,
        span: Span = "unit",
        penalty: float = 0.0,
        bound: float | tuple[float, float] | None = 3.0,
        spread: float = 1.0,
        denoiser: nn.Module | None = None,
        prior_step: float = 0.01,
        noise: float = 0.01,
        image_channels: int = 3,
    ) -> None:
        super().__init__(count, size, generator, latent_size, span, penalty, bound, spread, image_channels)
        if not 0 <= prior_step <= 1:
            raise BadInput(f"prior_step must be in [0, 1], got {prior_step!r}")
        if not noise >= 0:
            raise BadInput(f"noise must be >= 0, got {noise!r}")
        self.prior_step, self.noise = prior_step, noise
        self.denoiser: Callable[[Tensor], Tensor] = Frozen(denoiser) if denoiser is not None else torch.zeros_like
        self.register_buffer("walk", cpu.zeros(count, WALK, self.latent.shape[1]))
        with torch.no_grad():
            shape = self.denoiser(self.latent.detach()).shape
        if shape != self.latent.shape:
            raise BadInput(
                f"the denoiser maps latents {tuple(self.latent.shape)} to {tuple(shape)}; expected the same shape"
            )

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        super().reset(generators)
        drawn = [cpu.randn(row.shape, generator=one) for row, one in zip(self.walk, generators, strict=True)]
        self.walk.copy_(torch.stack(drawn))

    @torch.no_grad()
    def project(self, step: int) -> None:
        self.latent.lerp_(self.denoiser(self.latent), self.prior_step)
        self.latent.add_(self.walk[:, 0], alpha=self.noise)
        # The next noise comes to the front: the position in the walk is part of the state and resumes from there.
        self.walk.copy_(self.walk.roll(-1, 1))
        super().project(step)
