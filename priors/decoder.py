"""Pictures that a decoder of natural images draws from a small latent map: what no photograph has cannot be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter_errors import BadInput
from priors import cpu
from priors.base import Prior, Size, as_size, check_images
from priors.contrast import limited, unlimited
from priors.fourier import frequency_scale
from priors.frozen import Frozen
from priors.precision import has_bfloat16
from priors.spectrum import real_inverse

EDGE = 0.03
"""Values this close to 0 or 1 count as beyond the range for `overshoot`: they look burnt."""


class Decoder(Prior):
    """image = D(soft_limit(irfft2(scale * coefficients))), D the frozen decoder of an autoencoder of natural images.

    The latent map is small, and D knows the texture and edges of photographs: whatever an objective asks for is drawn
    in these. R is `penalty` times the mean square of the coefficients, plus `overshoot` times the mean square of what D
    draws beyond the range of pictures, which clamping would burn. The limit keeps the latents as strong as those of
    photographs (root mean square .7 to .95 for taef2), of which D was trained to draw.

    Args:
        count: number of pictures, B.
        size: pixels, one number or (height, width).
        decoder: D, a module from latent maps (B, C, h, w) to pictures (B, 3, s h, s w) in [0, 1]. It is copied and
            frozen.
        encoder: a module from pictures to latent maps, for `from_image`; None if there is none.
        latents: channels C of the latent maps; None reads those of the decoder's first convolution.
        decay: the latent basis is scaled by 1 / f^decay.
        spread: standard deviation of the initial coefficients.
        limit: upper limit, > 0, of the root mean square of a picture's latents.
        penalty: weight >= 0 of the coefficients' mean square.
        overshoot: weight >= 0 of the values that D draws beyond [0, 1], or within .03 of its ends, in units of the
            objective.
        bfloat16: compute gradients in bfloat16; None does so where the hardware multiplies in it.
        image_channels: number of channels of the pictures, 3.

    Raises:
        BadInput: for an option out of its range, or a decoder that does not turn latent maps into pictures.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(4, 48, 3, padding=1), nn.PixelShuffle(4), nn.Sigmoid())
        >>> Decoder(2, size=32, decoder=net)().shape
        torch.Size([2, 3, 32, 32])
    """

    learning_rate: ClassVar[float] = 0.15
    recordable: ClassVar[bool] = True
    batched: ClassVar[tuple[str, ...]] = ("limit",)
    scale: Tensor
    limit: Tensor

    def __init__(
        self,
        count: int = 1,
        size: Size = 224,
        decoder: nn.Module | None = None,
        encoder: nn.Module | None = None,
        latents: int | None = None,
        decay: float = 0.7,
        spread: float = 0.1,
        limit: float = 1.0,
        penalty: float = 0.0,
        overshoot: float = 0.0,
        bfloat16: bool | None = None,
        image_channels: int = 3,
    ) -> None:
        super().__init__(count)
        self.size = as_size(size)
        if decoder is None:
            raise BadInput("prior decoder requires a decoder: decoder:weights=FILE, or decoder=FILE.py:FACTORY")
        for name, value in (("limit", limit), ("spread", spread)):
            if not value > 0:
                raise BadInput(f"{name} must be above 0, got {value!r}")
        for name, value in (("penalty", penalty), ("overshoot", overshoot)):
            if not value >= 0:
                raise BadInput(f"{name} must be >= 0, got {value!r}")
        if image_channels != 3:
            raise BadInput(
                f"the decoder draws pictures of 3 channels, and {image_channels} are required: choose fourier"
            )
        self.spread, self.penalty, self.overshoot, self.in_bfloat16 = spread, penalty, overshoot, bfloat16
        self.decoder = Frozen(decoder)
        self.decoder.module.to(memory_format=torch.channels_last)
        self.encoder = None if encoder is None else Frozen(encoder)
        channels = latents or _first_width(decoder)
        self.stride = self._measured_stride(channels)
        self.map_size = -(-self.size[0] // self.stride), -(-self.size[1] // self.stride)
        scale = frequency_scale(*self.map_size, decay)
        self.register_buffer("scale", (scale / scale.square().mean().sqrt() / 2**0.5)[..., None], persistent=False)
        self.register_buffer("limit", cpu.full((count,), float(limit)))
        self.coefficients = nn.Parameter(cpu.zeros(count, channels, *scale.shape, 2))
        self._excess: Tensor | None = None

    def _measured_stride(self, channels: int) -> int:
        """Pixels of the decoder's pictures along each position of the latent map."""
        name = type(self.decoder.module).__name__
        try:
            with torch.no_grad():
                drawn = self.decoder(cpu.zeros(1, channels, 2, 2))
        except (RuntimeError, ValueError) as error:
            raise BadInput(f"the decoder {name} does not read latent maps (B, {channels}, h, w): {error}") from error
        if not isinstance(drawn, Tensor) or drawn.shape[:2] != (1, 3) or drawn.shape[2] != drawn.shape[3]:
            given = f"shape {tuple(drawn.shape)}" if isinstance(drawn, Tensor) else type(drawn).__name__
            raise BadInput(f"the decoder {name} outputs {given} for a latent map of 2x2, expected (1, 3, 2 s, 2 s)")
        return drawn.shape[2] // 2

    @classmethod
    def from_image(cls, images: Tensor, **options: Any) -> Self:
        """A prior that starts at what the autoencoder makes of images.

        Args:
            images: (B, 3, H, W) or (3, H, W) in [0, 1].
            **options: as in the constructor; `encoder` is required.

        Raises:
            BadInput: for images of another shape or range, options out of their range, or no encoder.
        """
        images = check_images(images)
        prior = cls(len(images), (images.shape[2], images.shape[3]), **options)
        if prior.encoder is None:
            raise BadInput(
                "this decoder has no encoder, so it cannot start from an image: give encoder, or choose fourier"
            )
        margin = [side * prior.stride - pixels for side, pixels in zip(prior.map_size, prior.size, strict=True)]
        with torch.no_grad():
            latents = prior.encoder(F.pad(images, (0, margin[1], 0, margin[0]), mode="replicate"))
        latents, prior.limit = unlimited(latents, prior.limit)
        prior.coefficients.data = torch.view_as_real(torch.fft.rfft2(latents, norm="ortho")) / prior.scale
        prior.started = True
        return prior

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        for picture, generator in zip(self.coefficients, generators, strict=True):
            picture.copy_(self.spread * cpu.randn(picture.shape, generator=generator))
        self.started = True

    def latents(self) -> Tensor:
        """The latent maps (B, C, h, w)."""
        spectrum = torch.view_as_complex(self.coefficients * self.scale)
        return limited(real_inverse(spectrum, self.map_size), self.limit)

    def take(self, rows: Tensor) -> Self:
        self._excess = None  # of the last gradient step; it belongs to its graph and cannot be copied
        return super().take(rows)

    def forward(self) -> Tensor:
        latents = self.latents().contiguous(memory_format=torch.channels_last)
        # Finished pictures, which need no gradient, are drawn in float32.
        requested = has_bfloat16(latents.device) if self.in_bfloat16 is None else self.in_bfloat16
        with torch.autocast(latents.device.type, torch.bfloat16, enabled=requested and torch.is_grad_enabled()):
            drawn = self.decoder(latents).float()
        drawn = drawn[..., : self.size[0], : self.size[1]]
        if self.overshoot:
            self._excess = (drawn - drawn.clamp(EDGE, 1 - EDGE)).square().flatten(1).mean(1)
        return drawn.clamp(0, 1)

    def energy(self, image: Tensor) -> Tensor:
        penalty = self.penalty * self.coefficients.square().flatten(1).mean(1)
        return penalty if self._excess is None else penalty + self.overshoot * self._excess


def _first_width(decoder: nn.Module) -> int:
    """Input channels of the first convolution of a decoder."""
    first = next((module for module in decoder.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        raise BadInput(f"the decoder {type(decoder).__name__} has no convolution: set latents to its input channels")
    return first.in_channels
