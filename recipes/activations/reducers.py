"""What a pass keeps of a layer's activations: vectors at sampled positions, or the extremes of each channel."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from inverter_errors import BadInput
from objectives.units import as_map

Arrays = dict[str, tuple[tuple[int, ...], str]]
"""Name of an array -> (shape of one row, dtype)."""
Rows = dict[str, np.ndarray[Any, Any]]
"""Name of an array -> rows to append to it, the same number for each name."""


class Reducer(Protocol):
    """Turns activations into rows. It has no state, so that a pass can resume wherever it was interrupted."""

    def arrays(self, layer: str, shape: Sequence[int]) -> Arrays:
        """The arrays that are kept of a layer.

        Args:
            layer: address.
            shape: of its activation of one picture, (C, H, W) or (C,).

        Raises:
            BadInput: if such a layer cannot be reduced this way.
        """
        ...

    def rows(self, layer: str, activation: Tensor, indices: Sequence[int]) -> Rows:
        """The rows of a batch.

        Args:
            layer: address.
            activation: of the batch, (B, C, H, W) or (B, C).
            indices: of the pictures, in the set.
        """
        ...

    def about(self) -> dict[str, Any]:
        """The reducer's options, as JSON: a pass resumes only with the same ones."""
        ...


@dataclass(frozen=True)
class Positions:
    """Activation vectors (C,) at positions of the map: one drawn at random in each picture, several, or all.

    The arrays are `vectors` (N, C) and `where` (N, 3): index of the picture, y, x. By default only inner positions
    count: at the border, a map is affected by the padding (Carter et al. 2019). A map without inner positions is used
    in full.

    Attributes:
        positions: "one", a number (all, if a map has fewer), or "all". Draws depend only on `seed`, the layer and the
            picture's index.
        border: include the positions at the border.
        seed: of the random draws.
        dtype: of the vectors, float16 or float32.

    Raises:
        BadInput: for other values.

    Example:
        >>> Positions("all").rows("conv", torch.zeros(2, 8, 5, 5), [0, 1])["vectors"].shape  # two times 3x3
        (18, 8)
    """

    positions: int | str = "one"
    border: bool = False
    seed: int = 0
    dtype: str = "float16"

    def __post_init__(self) -> None:
        number = isinstance(self.positions, int) and not isinstance(self.positions, bool) and self.positions > 0
        if not number and self.positions not in ("one", "all"):
            raise BadInput(f"positions must be one, all, or an integer of at least 1, got {self.positions!r}")
        if self.dtype not in ("float16", "float32"):
            raise BadInput(f"dtype must be float16 or float32, got {self.dtype!r}")
        if self.seed < 0:
            raise BadInput(f"seed must be at least 0, got {self.seed}")

    def about(self) -> dict[str, Any]:
        return {"reducer": "positions", **asdict(self)}

    def arrays(self, layer: str, shape: Sequence[int]) -> Arrays:
        if len(shape) != 3:
            raise BadInput(
                f"layer {layer!r} outputs {tuple(shape)} per picture, not a map (C, H, W): it has no positions; "
                "choose another layer (inverter layers lists them)"
            )
        return {"vectors": ((shape[0],), self.dtype), "where": ((3,), "int32")}

    def rows(self, layer: str, activation: Tensor, indices: Sequence[int]) -> Rows:
        height, width = activation.shape[2:]
        places = np.concatenate([self._draw(layer, index, height, width) for index in indices])
        each = len(places) // len(indices)
        picture = np.repeat(np.arange(len(indices)), each)
        chosen = torch.from_numpy(picture * height * width + places).to(activation.device)
        vectors = activation.permute(0, 2, 3, 1).flatten(0, 2)[chosen].float().cpu()
        if self.dtype == "float16" and float(vectors.abs().max()) > torch.finfo(torch.float16).max:
            raise BadInput(f"layer {layer!r} outputs numbers too large for float16: set dtype to float32")
        where = np.stack([np.repeat(indices, each), places // width, places % width], axis=1)
        return {"vectors": vectors.numpy(), "where": where}

    def _draw(self, layer: str, index: int, height: int, width: int) -> np.ndarray[Any, Any]:
        """Positions y * width + x in one picture, in ascending order."""
        edge = 0 if self.border or min(height, width) < 3 else 1
        inner = np.arange(height * width).reshape(height, width)[edge : height - edge, edge : width - edge].ravel()
        count = 1 if self.positions == "one" else self.positions
        if not isinstance(count, int) or count >= len(inner):
            return inner
        generator = np.random.default_rng((self.seed, zlib.crc32(layer.encode()), index))
        return np.sort(generator.choice(inner, count, replace=False))


@dataclass(frozen=True)
class SharedPositions(Positions):
    """Positions that several layers, or networks, share: row i of each of them is for the same place in one picture.

    Attributes:
        frame: (height, width) of the map in which positions are drawn. In a map of another size, the place is the
            position that contains the same point, with both maps stretched over the full picture.

    Example:
        >>> reducer = SharedPositions("all", frame=(3, 3))
        >>> deep, early = torch.zeros(1, 8, 3, 3), torch.zeros(1, 4, 7, 7)
        >>> reducer.rows("deep", deep, [5])["where"].tolist(), reducer.rows("early", early, [5])["where"].tolist()
        ([[5, 1, 1]], [[5, 3, 3]])
    """

    frame: tuple[int, int] = (1, 1)

    def about(self) -> dict[str, Any]:
        return super().about() | {"frame": list(self.frame)}

    def _draw(self, layer: str, index: int, height: int, width: int) -> np.ndarray[Any, Any]:
        y, x = np.divmod(super()._draw("", index, *self.frame), self.frame[1])  # the same for all layers
        # Position i of n spans i / n to (i + 1) / n of the picture: take the one that contains its centre.
        place: np.ndarray[Any, Any] = (2 * y + 1) * height // (2 * self.frame[0]) * width
        return place + (2 * x + 1) * width // (2 * self.frame[1])


@dataclass(frozen=True)
class Extremes:
    """The extremes of each channel in each picture, one row per picture.

    The arrays are, all (N, C) for N pictures: `high` and `low`, the extremes over positions, with `high_at` and
    `low_at` (y * W + x); `mean` over positions; `centre`, at (H // 2, W // 2); `active`, the fraction of positions
    above 0. And `picture` (N,), their indices. A layer that outputs vectors (C,) counts as a map of one position.

    Example:
        >>> Extremes().rows("conv", torch.arange(6.0).view(1, 1, 2, 3), [7])["high_at"]
        array([[5]])
    """

    def about(self) -> dict[str, Any]:
        return {"reducer": "extremes"}

    def arrays(self, layer: str, shape: Sequence[int]) -> Arrays:
        channels = as_map(torch.empty(1, *shape, device="meta"), layer).shape[1]
        numbers = dict.fromkeys(("high", "low", "mean", "centre", "active"), ((channels,), "float32"))
        return {**numbers, **dict.fromkeys(("high_at", "low_at"), ((channels,), "int32")), "picture": ((), "int32")}

    def rows(self, layer: str, activation: Tensor, indices: Sequence[int]) -> Rows:
        maps = as_map(activation, layer).float()
        centre = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
        flat = maps.flatten(2)
        (high, high_at), (low, low_at) = flat.max(2), flat.min(2)
        kept = {"high": high, "low": low, "mean": flat.mean(2), "centre": centre, "active": (flat > 0).float().mean(2)}
        kept |= {"high_at": high_at, "low_at": low_at}
        return {name: rows.cpu().numpy() for name, rows in kept.items()} | {"picture": np.asarray(indices)}
