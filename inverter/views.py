"""Random views of pictures, with all draws of a run on the device: a step is read there by its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from inverter.warp import view_grid, warp


class Transform(Protocol):
    """An augmentation with its random draws made, ready for one batch."""

    def __call__(self, image: Tensor, step: int | Tensor, views: int = 1) -> Tensor:
        """Views of pictures.

        Args:
            image: (B, C, H, W) in [0, 1].
            step: index of the first view's random draws; an int64 tensor (1,) on the device of the pictures is read
                there, without the host.
            views: how many views of each picture; they use the draws of `step`, `step + 1`, ...

        Returns:
            (views * B, C, h, w), one batch after the other.
        """
        ...


@dataclass(frozen=True, eq=False)
class Views:
    """The views of an `Augment`, by tables of what each of N steps (or views) draws.

    Attributes:
        window: (height, width) of a view in pixels.
        warps: (N, B, 2, 3), from coordinates of the window to those of the picture; None for views of all of it.
        colors: (N, B, 2, C, 1, 1), gain and offset of each channel, or None.
        bank: (B, C, 1.5 height, 1.5 width), the noise of each picture, or None.
        places: (N, 2), the row and the column from which a view reads the noise.
    """

    window: tuple[int, int]
    warps: Tensor | None = None
    colors: Tensor | None = None
    bank: Tensor | None = None
    places: Tensor | None = None

    def __call__(self, image: Tensor, step: int | Tensor, views: int = 1) -> Tensor:
        if self.warps is not None:
            image = _warped(image, _rows(self.warps, step, views), self.window)
        elif views > 1:
            image = image.repeat(views, 1, 1, 1)
        if self.colors is not None:
            gain, offset = _rows(self.colors, step, views).flatten(0, 1).unbind(1)
            image = torch.addcmul(offset, image, gain)
        if self.bank is not None and self.places is not None:
            noise = [self._noise(self.bank, place) for place in _rows(self.places, step, views)]
            image = image + (noise[0] if views == 1 else torch.cat(noise))
        return image

    def _noise(self, bank: Tensor, place: Tensor) -> Tensor:
        if place.device.type == "cpu":  # where reading it is free
            (y, x), (height, width) = place.tolist(), self.window
            return bank[:, :, y : y + height, x : x + width]
        for dim, side in enumerate(self.window):
            bank = bank.index_select(dim + 2, place[dim] + torch.arange(side, device=place.device))
        return bank

    def take(self, other: Views) -> None:
        """Has the tables hold the draws of another batch.

        Args:
            other: of the same augmentation, sizes and number of steps.
        """
        for name in ("warps", "colors", "bank", "places"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is not None and theirs is not None:
                mine.copy_(theirs)


class Called:
    """The views of a user's callable, which draws from torch's global generator: seeded anew for each view.

    Args:
        function: (B, C, H, W) -> (B, C, h, w).
        seed: of the first view; those of the others follow.
        device: whose generator is put back afterwards, besides the CPU's.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], seed: int, device: torch.device) -> None:
        self.function, self.seed = function, seed
        self.devices = [device] if device.type == "cuda" else []

    def __call__(self, image: Tensor, step: int | Tensor, views: int = 1) -> Tensor:
        shown: Sequence[Tensor] = [self._view(image, int(step) + view) for view in range(views)]
        return shown[0] if views == 1 else torch.cat(list(shown))

    def _view(self, image: Tensor, number: int) -> Tensor:
        with torch.random.fork_rng(devices=self.devices):
            torch.manual_seed((self.seed + number) % 2**63)
            return self.function(image)


def _rows(table: Tensor, step: int | Tensor, count: int) -> Tensor:
    """The rows `step`, `step + 1`, ... of a table, `count` of them."""
    if isinstance(step, int):
        return table[step : step + count]
    return table.index_select(0, step + torch.arange(count, device=step.device))


def _warped(image: Tensor, warps: Tensor, window: tuple[int, int]) -> Tensor:
    """Views of pictures (B, C, H, W) through warps (V, B, 2, 3), as (V * B, C, *window).

    All views of a picture are sampled at once, as one tall picture: the gradient then fills one canvas instead of one
    for each view, which is most of the work for a large canvas with small crops.
    """
    views, count = warps.shape[:2]
    seen = warp(image, view_grid(warps, window))
    if views == 1:
        return seen
    return seen.view(count, -1, views, *window).permute(2, 0, 1, 3, 4).flatten(0, 1)
