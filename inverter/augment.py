"""Augmentation (tau in the formula): random transforms that a feature must survive, drawn for each picture and step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from inverter.views import Views
from inverter_errors import BadInput, BadType
from priors import cpu

MOST_COLOR = 4.0
"""The strongest colour shift: 55 times the contrast, offsets of 1."""


@dataclass(frozen=True)
class Augment:
    """One geometric warp (shift, scale, rotation, flip in a single resampling), a crop, a colour shift, and noise.

    Attributes:
        shift: largest shift in each direction, as a fraction of the picture's side.
        scale: smallest and largest magnification.
        rotate: largest rotation in degrees.
        noise: standard deviation of the noise that is added, in pixel values of [0, 1].
        crop: side of the window that the network receives, as a fraction of the picture's side, at the picture's own
            scale; its position is uniform over the picture. 1 shows the full picture.
        color: strength of ColorShift (Ghiasi et al. 2021, "Plug-In Inversion", section 3.3), >= 0: each channel's
            contrast about mid-grey is multiplied by exp(u), and v / 4 is added to it, with u and v uniform within
            +-color. The quarter is about the standard deviation of photographs; the paper takes strength 1.
        flip: True mirrors half of the views.

    The picture is padded by reflection, so that no edge appears that could be optimised.

    Raises:
        BadInput: for a value out of its range.
    """

    shift: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotate: float = 0.0
    noise: float = 0.0
    crop: float = 1.0
    color: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        low, high = self.scale
        if not (0 <= self.shift <= 1 and 0 < low <= high and 0 <= self.rotate <= 180 and self.noise >= 0):
            raise BadInput(
                f"augmentation out of range: {self}; "
                "expected shift 0..1, 0 < scale low <= high, rotate 0..180, noise >= 0"
            )
        if not 0 < self.crop <= 1:
            raise BadInput(f"augmentation crop must be in (0, 1], got {self.crop}")
        if not 0 <= self.color <= MOST_COLOR:
            raise BadInput(f"augmentation color must be in [0, {MOST_COLOR:g}], got {self.color}")

    def cropped(self, size: tuple[int, int], window: tuple[int, int]) -> Augment:
        """The same augmentation on crops of a large canvas.

        The crops cover between `window` (unscaled) and half of the canvas's side, as in Fel et al. 2023 (MACO).

        Args:
            size: (height, width) of the canvas in pixels.
            window: (height, width) of a crop in pixels, about.

        Returns:
            A new `Augment`.

        Example:
            >>> Augment().cropped((1120, 1120), (224, 224))
            Augment(shift=0.0, scale=(0.4, 1.0), rotate=0.0, noise=0.0, crop=0.2, color=0.0, flip=False)
        """
        crop = min(1.0, max(window[0] / size[0], window[1] / size[1]))
        low, high = self.scale
        return replace(self, crop=crop, scale=(low * min(1.0, 2 * crop), high))

    def window(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) in pixels of the network's input for a picture of `size` (height, width)."""
        return max(1, round(self.crop * size[0])), max(1, round(self.crop * size[1]))

    def prepare(
        self,
        generators: Sequence[torch.Generator],
        size: tuple[int, int],
        steps: int,
        device: torch.device,
        channels: int = 3,
    ) -> Views:
        """Makes all random draws of a run, and moves them to the device at once.

        Drawing ahead keeps the loop free of host work, and a picture's draws the same in every batch.

        Args:
            generators: one CPU generator for each picture; picture i is drawn from `generators[i]` alone.
            size: (height, width) of the pictures in pixels.
            steps: how many steps (views) to draw.
            device: where the pictures are.
            channels: of the pictures.

        Returns:
            The views of a batch of these pictures.
        """
        window = self.window(size)
        warps = None
        if self.shift or self.rotate or self.scale != (1.0, 1.0) or self.crop < 1 or self.flip:
            draws = torch.stack([cpu.rand(steps, 5 if self.flip else 4, generator=g) for g in generators], dim=1)
            warps = self._warps(draws.flatten(0, 1), size, window).unflatten(0, draws.shape[:2]).to(device)
        colors = None
        if self.color:
            signed = torch.stack([2 * cpu.rand(steps, 2, channels, 1, 1, generator=g) - 1 for g in generators], dim=1)
            colors = _color_shifts(self.color * signed).to(device)
        bank, places = None, None
        if self.noise:
            # One field of noise for each picture, read at another offset in each step: the same on every device, and
            # much cheaper than drawing again. The offsets are shared, so they do not depend on the batch.
            tall, wide = window[0] + window[0] // 2, window[1] + window[1] // 2
            drawn = torch.stack([cpu.randn(channels, tall, wide, generator=g) for g in generators])
            bank = drawn.to(device) * self.noise
            where = torch.Generator("cpu").manual_seed(steps)
            places = torch.stack(
                [torch.randint(0, side // 2 + 1, (steps,), generator=where, device="cpu") for side in window], dim=1
            ).to(device)
        return Views(window, warps, colors, bank, places)

    def _warps(self, draws: Tensor, size: tuple[int, int], window: tuple[int, int]) -> Tensor:
        """Draws (N, 4) in [0, 1), or (N, 5) with flips, as matrices of `affine_grid`, (N, 2, 3).

        They map coordinates of the window to those of the picture.

        kornia composes scale, rotation and shift as a homography in pixels and normalises it.
        """
        from kornia.geometry import get_affine_matrix2d, normalize_homography

        count = len(draws)
        signed = 2 * draws - 1
        sides = cpu.tensor([size[1], size[0]])
        shown = cpu.tensor([window[1], window[0]])
        low, high = self.scale
        scale = (low * (high / low) ** draws[:, 2])[:, None].expand(count, 2)  # uniform in the logarithm
        room = (sides - shown) / 2 + self.shift * sides
        centre = ((shown - 1) / 2).expand(count, 2)
        to_picture = get_affine_matrix2d(
            (sides - shown) / 2 + signed[:, :2] * room, centre, 1 / scale, signed[:, 3] * self.rotate
        )
        # kornia normalises with corners at -1 and 1 on pixel centres; affine_grid without align_corners has them half
        # a pixel further out, a factor n / (n - 1).
        matrix = normalize_homography(to_picture, window, size)
        outer = torch.diag(cpu.tensor([(window[1]) / max(window[1] - 1, 1), window[0] / max(window[0] - 1, 1), 1.0]))
        inner = torch.diag(cpu.tensor([max(size[1] - 1, 1) / size[1], max(size[0] - 1, 1) / size[0], 1.0]))
        maps = (inner @ matrix @ outer)[:, :2]
        if self.flip:
            maps[..., 0] *= torch.where(draws[:, 4] < 0.5, -1.0, 1.0)[:, None]
        return maps


def _color_shifts(strengths: Tensor) -> Tensor:
    """Gains and offsets (..., 2, C, 1, 1) for the strengths u and v (..., 2, C, 1, 1): x -> gain * x + offset."""
    gain = strengths[..., 0, :, :, :].exp()
    return torch.stack([gain, (1 - gain) / 2 + strengths[..., 1, :, :, :] / 4], dim=-4)


AugmentPreset = Literal["none", "light", "standard", "strong", "wide", "wider", "tokens"]
"""Names of the presets."""

PRESETS: dict[str, Augment] = {
    "none": Augment(),
    "light": Augment(shift=0.02, scale=(0.97, 1.03), rotate=3.0),
    "standard": Augment(shift=0.036, scale=(0.9, 1.1), rotate=8.0),
    "strong": Augment(shift=0.1, scale=(0.75, 1.4), rotate=15.0, noise=0.05),
    "wide": Augment(shift=0.107, scale=(0.7, 1.6), rotate=8.0, noise=0.03),
    "wider": Augment(shift=0.2, scale=(0.5, 1.6), rotate=8.0, noise=0.03),
    "tokens": Augment(shift=0.15, scale=(0.7, 3.0), rotate=10.0, noise=0.1, color=0.5, flip=True),
}
"""The presets by name, from none to strong; `wide` is for large canvases, `wider` for pictures that
are held to natural statistics, `tokens` for networks that read patches.

A network of patches sees a picture through a fixed grid, and noise inside of a patch may please it as much as a picture
does. With `tokens`, a patch covers anything from twice its own area down to a ninth of it, at any place, mirrored or
not, in shifted colours; the middle of the picture is seen closest.
"""

Augmentation = AugmentPreset | str | Augment | Callable[[Tensor], Tensor]
"""A preset's name, an `Augment`, or any callable (B, 3, H, W) -> (B, 3, h, w)."""


def as_augment(augment: Augmentation) -> Augment | Callable[[Tensor], Tensor]:
    """A preset by its name; an `Augment` or a callable as it is.

    Args:
        augment: a preset's name, an `Augment`, or any callable `image -> image` such as a kornia pipeline.

    Returns:
        The `Augment` or the callable.

    Raises:
        BadInput: for an unknown name.
        BadType: for an object of any other type.
    """
    if isinstance(augment, str):
        if augment not in PRESETS:
            raise BadInput(f"unknown augmentation {augment!r}; expected one of {', '.join(PRESETS)}")
        return PRESETS[augment]
    if not callable(augment) and not isinstance(augment, Augment):
        raise BadType(f"augment must be a preset's name, an Augment or a callable, got {type(augment).__name__}")
    return augment
