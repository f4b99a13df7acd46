"""What a pass over pictures keeps of a layer: activation vectors at drawn positions, or each channel's extremes."""

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
"""Name of an array -> (shape of one of its rows, type of its numbers)."""
Rows = dict[str, np.ndarray[Any, Any]]
"""Name of an array -> rows to append to it, as many for each name."""


class Reducer(Protocol):
    """Turns activations into rows. It has no memory, so that a pass can go on wherever it was stopped."""

    def arrays(self, layer: str, shape: Sequence[int]) -> Arrays:
        """The arrays that are kept of a layer whose activation of one picture has this shape.

        Raises:
            BadInput: if nothing of the kind can be kept of such a layer.
        """
        ...

    def rows(self, layer: str, activation: Tensor, indices: Sequence[int]) -> Rows:
        """The rows of a batch: of its activation (B, ...), and the indices of its pictures in the set."""
        ...

    def about(self) -> dict[str, Any]:
        """What was asked for, as JSON: a pass goes on only where this is the same."""
        ...


@dataclass(frozen=True)
class Positions:
    """Activation vectors (C,) at positions of the map: one drawn at random in each picture, several, or all.

    Kept are `vectors` (N, C) and `where` (N, 3): index of the picture, y, x. By default only inner positions count:
    on its border, a map shows the padding (Carter et al. 2019). A map without inner ones counts whole.

    Attributes:
        positions: "one", how many (or all, where a map has fewer), or "all". Draws depend on `seed`, the layer and
            the picture's index alone.
        border: True counts positions on the border too.
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
            raise BadInput(f"positions must be one, all, or a whole number of at least 1, got {self.positions!r}")
        if self.dtype not in ("float16", "float32"):
            raise BadInput(f"dtype must be float16 or float32, got {self.dtype!r}")
        if self.seed < 0:
            raise BadInput(f"seed must be at least 0, got {self.seed}")

    def about(self) -> dict[str, Any]:
        return {"reducer": "positions", **asdict(self)}

    def arrays(self, layer: str, shape: Sequence[int]) -> Arrays:
        if len(shape) != 3:
            raise BadInput(
                f"layer {layer!r} puts out {tuple(shape)} for a picture and no map (C, H, W): it has no positions; "
                "choose another layer (inverter layers shows them)"
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
            raise BadInput(f"layer {layer!r} puts out numbers too large for float16: take dtype float32")
        where = np.stack([np.repeat(indices, each), places // width, places % width], axis=1)
        return {"vectors": vectors.numpy(), "where": where}

    def _draw(self, layer: str, index: int, height: int, width: int) -> np.ndarray[Any, Any]:
        """Positions y * width + x in one picture, in rising order."""
        edge = 0 if self.border or min(height, width) < 3 else 1
        inner = np.arange(height * width).reshape(height, width)[edge : height - edge, edge : width - edge].ravel()
        count = 1 if self.positions == "one" else self.positions
        if not isinstance(count, int) or count >= len(inner):
            return inner
        generator = np.random.default_rng((self.seed, zlib.crc32(layer.encode()), index))
        return np.sort(generator.choice(inner, count, replace=False))


@dataclass(frozen=True)
class SharedPositions(Positions):
    """Positions that several layers, or networks, share: row i tells in each of them of one place in one picture.

    Attributes:
        frame: (height, width) of the map in which they are drawn. In a map of another size, the place is the position
            that holds the same point, both maps spread over the whole picture.

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
        y, x = np.divmod(super()._draw("", index, *self.frame), self.frame[1])  # drawn for all layers alike
        # Position i of n spans i / n to (i + 1) / n of the picture: what holds its middle?
        place: np.ndarray[Any, Any] = (2 * y + 1) * height // (2 * self.frame[0]) * width
        return place + (2 * x + 1) * width // (2 * self.frame[1])


@dataclass(frozen=True)
class Extremes:
    """What each channel does in each picture, in one row a picture: how much at most and at least, and where.

    Kept are, all (N, C) for N pictures: `high` and `low`, the extremes over positions, with `high_at` and `low_at`
    (y * W + x); `mean` over positions; `centre`, at (H // 2, W // 2); `active`, the share of positions above 0.
    And `picture` (N,), their indices. A layer that puts out vectors (C,) counts as a map of one position.

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
