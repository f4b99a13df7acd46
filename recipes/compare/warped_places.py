"""Pictures, and places of maps, under the same warp: what equivariance compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from inverter.warp import warp as resampled
from objectives.units import as_map
from recipes.activations.map_geometry import Overlay
from recipes.compare.warps import Warp

_INSIDE = 1e-3
"""Places that a map may be left by, in rounding."""


def origin(warp: Warp, offsets: np.ndarray) -> np.ndarray:
    """The origins of points (..., 2) of a warped picture, all as offsets (y, x) from the centre in pixels."""
    found: np.ndarray = offsets @ np.array(warp.matrix).T
    return found


def warp_picture(warp: Warp, image: Tensor) -> Tensor:
    """A picture (C, H, W), warped about its centre; what lies outside is its mirror image.

    Example:
        >>> warp_picture(Warp.parse("hflip"), torch.arange(3.0).view(1, 1, 3) / 2).flatten().tolist()
        [1.0, 0.5, 0.0]
    """
    size = np.array(image.shape[1:])
    rows, columns = (np.arange(side) + 0.5 - side / 2 for side in size)
    points = origin(warp, np.stack(np.meshgrid(rows, columns, indexing="ij"), -1)) / (size / 2)
    grid = torch.from_numpy(points[..., ::-1].astype(np.float32).copy())
    return resampled(image[None], grid[None])[0].clamp(0, 1)


@dataclass(frozen=True)
class WarpedPlaces:
    """Places of a layer's map that a warp leaves inside of the picture, and where they come from.

    Attributes:
        warp: of the picture.
        overlay: how the map lies over the picture.
        size: (height, width) of the picture in pixels.
        count: places that are drawn in each picture, at most.
        neighbourhood: side of the square of places around the origin that are read: 1, or 3.
        seed: of the draws.
    """

    warp: Warp
    overlay: Overlay
    size: tuple[int, int]
    count: int
    neighbourhood: int = 1
    seed: int = 0

    @cached_property
    def _inside(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices (n,) of the places whose origin lies in the map, and the origins (n, 2) in rows and columns."""
        shape, centre = np.array(self.overlay.shape), np.array(self.size) / 2
        corner, cell = np.array(self.overlay.corner), np.array(self.overlay.cell)
        places = np.stack(np.meshgrid(*map(np.arange, self.overlay.shape), indexing="ij"), -1).reshape(-1, 2)
        pixels = origin(self.warp, corner + (places + 0.5) * cell - centre) + centre
        origins = (pixels - corner) / cell - 0.5
        inside = ((origins > -_INSIDE) & (origins < shape - 1 + _INSIDE)).all(1)
        return np.flatnonzero(inside), origins[inside]

    @property
    def rows(self) -> int:
        """Places that are drawn in each picture."""
        return min(self.count, len(self._inside[0]))

    def _drawn(self, indices: Sequence[int]) -> np.ndarray:
        """For each picture of the set, which of the places inside, (B, k)."""
        among = len(self._inside[0])
        draws = (np.random.default_rng((self.seed, index)) for index in indices)
        return np.stack([np.sort(draw.choice(among, self.rows, replace=False)) for draw in draws])

    def targets(self, activation: Tensor, indices: Sequence[int], layer: str) -> Tensor:
        """The activations of warped pictures at the drawn places.

        Args:
            activation: of the batch, (B, C, h, w) or (B, C).
            indices: of the pictures, in the set.
            layer: address.

        Returns:
            (B, k, C) float32 on the CPU.
        """
        flat = as_map(activation, layer).float().cpu().flatten(2)
        places = torch.from_numpy(self._inside[0][self._drawn(indices)])
        return flat.gather(2, places[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)

    def origins(self, activation: Tensor, indices: Sequence[int], layer: str) -> Tensor:
        """The activations of the pictures themselves at the origins of the drawn places, between places bilinearly.

        Args:
            activation: of the batch, (B, C, h, w) or (B, C).
            indices: of the pictures, in the set.
            layer: address.

        Returns:
            (B, k, n * C) float32 on the CPU, for a neighbourhood of n places; row by row, C numbers each.
        """
        maps = as_map(activation, layer).float().cpu()
        reach = np.arange(self.neighbourhood) - self.neighbourhood // 2
        steps = np.stack(np.meshgrid(reach, reach, indexing="ij"), -1).reshape(-1, 2)
        points = self._inside[1][self._drawn(indices)][:, :, None] + steps  # (B, k, n, 2)
        grid = (2 * points + 1) / np.array(maps.shape[2:]) - 1
        flow = torch.from_numpy(grid[..., ::-1].astype(np.float32).copy())
        found = F.grid_sample(maps, flow, padding_mode="border", align_corners=False)
        return found.permute(0, 2, 3, 1).flatten(2)
