"""tau of the formula: random transforms that a feature must survive, drawn for each picture and step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from inverter.warp import view_grid, warp
from inverter_errors import BadInput, BadType


class Transform(Protocol):
    """An augmentation ready for one batch: `transform(image (B, 3, H, W), step, views) -> image (views * B, 3, h, w)`.

    The views are those of `step`, `step + 1`, ..., one batch after the other.
    """

    def __call__(self, image: Tensor, step: int, views: int = 1) -> Tensor: ...


@dataclass(frozen=True)
class Augment:
    """One geometric warp (shift, scale and rotation in a single resampling), a crop, and noise.

    Attributes:
        shift: largest shift in each direction, as a fraction of the picture's side.
        scale: smallest and largest magnification.
        rotate: largest rotation in degrees.
        noise: standard deviation of the noise that is added, in pixel values of [0, 1].
        crop: side of the window that the network gets, as a fraction of the picture's side, at the picture's own
            scale; the window wanders over the whole picture. 1 shows it whole.

    What lies outside the picture is its mirror image, so that no edge appears that could be optimised.
    """

    shift: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotate: float = 0.0
    noise: float = 0.0
    crop: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.scale
        if not (0 <= self.shift <= 1 and 0 < low <= high and 0 <= self.rotate <= 180 and self.noise >= 0):
            raise BadInput(
                f"augmentation out of range: {self}; "
                "expected shift 0..1, 0 < scale low <= high, rotate 0..180, noise >= 0"
            )
        if not 0 < self.crop <= 1:
            raise BadInput(f"augmentation crop must be in (0, 1], got {self.crop}")

    def cropped(self, size: tuple[int, int], window: tuple[int, int]) -> Augment:
        """The same on crops of a canvas of `size` about as large as `window`, both (height, width) in pixels.

        Of a large canvas, crops show from their own size, unscaled, up to half of its side, as in Fel et al. 2023.

        Example:
            >>> Augment().cropped((1120, 1120), (224, 224))
            Augment(shift=0.0, scale=(0.4, 1.0), rotate=0.0, noise=0.0, crop=0.2)
        """
        crop = min(1.0, max(window[0] / size[0], window[1] / size[1]))
        low, high = self.scale
        return replace(self, crop=crop, scale=(low * min(1.0, 2 * crop), high))

    def window(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) in pixels of what the network is given of a picture of `size`."""
        return max(1, round(self.crop * size[0])), max(1, round(self.crop * size[1]))

    def prepare(
        self, generators: Sequence[torch.Generator], size: tuple[int, int], steps: int, device: torch.device
    ) -> Transform:
        """All random draws of `steps` steps, picture i's from `generators[i]` (CPU) alone, moved to `device` at once.

        Drawing ahead keeps the loop free of host work, and a picture's draws the same in every batch.
        """
        window = self.window(size)
        warps = None
        if self.shift or self.rotate or self.scale != (1.0, 1.0) or self.crop < 1:
            draws = torch.stack([torch.rand(steps, 4, generator=g) for g in generators], dim=1)
            warps = self._warps(draws.flatten(0, 1), size, window).unflatten(0, draws.shape[:2]).to(device)
        bank, places = None, []
        if self.noise:
            # One field of noise for each picture, read at another place in each step: the same on every device, and
            # much cheaper than drawing anew. The places are shared, so they do not depend on the batch.
            tall, wide = window[0] + window[0] // 2, window[1] + window[1] // 2
            bank = torch.stack([torch.randn(3, tall, wide, generator=g) for g in generators]).to(device) * self.noise
            where = torch.Generator().manual_seed(steps)
            places = torch.stack(
                [torch.randint(0, side // 2 + 1, (steps,), generator=where) for side in window], dim=1
            ).tolist()

        def transform(image: Tensor, step: int, views: int = 1) -> Tensor:
            if warps is not None:
                image = _views(image, warps[step : step + views], window)
            elif views > 1:
                image = image.repeat(views, 1, 1, 1)
            if bank is not None:
                noise = [bank[:, :, y : y + window[0], x : x + window[1]] for y, x in places[step : step + views]]
                image = image + (noise[0] if views == 1 else torch.cat(noise))
            return image

        return transform

    def _warps(self, draws: Tensor, size: tuple[int, int], window: tuple[int, int]) -> Tensor:
        """Draws (N, 4) in [0, 1) as `affine_grid`'s matrices (N, 2, 3): from the window's to the picture's coordinates.

        kornia composes scale, rotation and shift as a homography in pixels and normalises it.
        """
        from kornia.geometry import get_affine_matrix2d, normalize_homography

        count = len(draws)
        signed = 2 * draws - 1
        sides = torch.tensor([size[1], size[0]], dtype=torch.float32)
        shown = torch.tensor([window[1], window[0]], dtype=torch.float32)
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
        outer = torch.diag(torch.tensor([(window[1]) / max(window[1] - 1, 1), window[0] / max(window[0] - 1, 1), 1.0]))
        inner = torch.diag(torch.tensor([max(size[1] - 1, 1) / size[1], max(size[0] - 1, 1) / size[0], 1.0]))
        return (inner @ matrix @ outer)[:, :2]


def _views(image: Tensor, warps: Tensor, window: tuple[int, int]) -> Tensor:
    """Views of pictures (B, C, H, W) through warps (V, B, 2, 3), as (V * B, C, *window).

    All views of a picture are read in one go, as if they were one tall picture: the gradient then has one canvas to
    fill, and not one for each view, which of a large canvas seen in small crops is most of the work.
    """
    views, count = warps.shape[:2]
    seen = warp(image, view_grid(warps, window))
    if views == 1:
        return seen
    return seen.view(count, -1, views, *window).permute(2, 0, 1, 3, 4).flatten(0, 1)


PRESETS: dict[str, Augment] = {
    "none": Augment(),
    "light": Augment(shift=0.02, scale=(0.97, 1.03), rotate=3.0),
    "standard": Augment(shift=0.036, scale=(0.9, 1.1), rotate=8.0),
    "strong": Augment(shift=0.1, scale=(0.75, 1.4), rotate=15.0, noise=0.05),
    "wide": Augment(shift=0.107, scale=(0.7, 1.6), rotate=8.0, noise=0.03),
}

Augmentation = str | Augment | Callable[[Tensor], Tensor]


def as_augment(augment: Augmentation) -> Augment | Callable[[Tensor], Tensor]:
    """A preset by its name; an `Augment` or any `image -> image` (a kornia pipeline, say) as it is.

    Raises:
        BadInput: for an unknown name.
    """
    if isinstance(augment, str):
        if augment not in PRESETS:
            raise BadInput(f"unknown augmentation {augment!r}; expected one of {', '.join(PRESETS)}")
        return PRESETS[augment]
    if not callable(augment) and not isinstance(augment, Augment):
        raise BadType(f"augment must be a preset's name, an Augment or a callable, got {type(augment).__name__}")
    return augment
