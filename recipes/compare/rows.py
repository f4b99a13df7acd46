"""What a pass over the pictures keeps for a comparison: one row for each picture, with activations at some places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from objectives.units import as_map
from recipes.activations.reducers import Arrays, Extremes, Rows, SharedPositions
from recipes.compare.warped_places import WarpedPlaces


@dataclass(frozen=True)
class ComparedRows:
    """Activations at places that all layers share, at the origins of warped places, and the extremes of each channel.

    The arrays are `vectors` (N, k, C), `NAME` (N, k, n * C) for each warp of that name, and those of `Extremes`.

    Attributes:
        places: draws the shared places; None for the mean over the map, k = 1.
        warps: layer -> its warped places.
    """

    places: SharedPositions | None
    warps: Mapping[str, Sequence[WarpedPlaces]]

    def about(self) -> dict[str, Any]:
        return {
            "reducer": "compared",
            "places": None if self.places is None else self.places.about(),
            "warps": {layer: [_about(each) for each in warps] for layer, warps in self.warps.items()},
        }

    def arrays(self, layer: str, shape: Sequence[int]) -> Arrays:
        channels = as_map(torch.empty(1, *shape, device="meta"), layer).shape[1]
        warped = {
            places.warp.file_name: ((places.rows, places.neighbourhood**2 * channels), "float32")
            for places in self.warps.get(layer, ())
        }
        each = 1 if self.places is None else drawn(self.places)
        return Extremes().arrays(layer, shape) | {"vectors": ((each, channels), "float32")} | warped

    def rows(self, layer: str, activation: Tensor, indices: Sequence[int]) -> Rows:
        maps = as_map(activation, layer)
        if self.places is None:
            vectors = maps.float().mean((2, 3)).cpu()[:, None].numpy()
        else:
            flat = self.places.rows(layer, maps, indices)["vectors"]
            vectors = flat.reshape(len(indices), -1, flat.shape[1])
        warped = {
            places.warp.file_name: places.origins(activation, indices, layer).numpy()
            for places in self.warps.get(layer, ())
        }
        return Extremes().rows(layer, activation, indices) | {"vectors": vectors} | warped


@dataclass(frozen=True)
class WarpedRows:
    """Activations of warped pictures, as the array `vectors` (N, k, C).

    Attributes:
        places: layer -> its warped places.
    """

    places: Mapping[str, WarpedPlaces]

    def about(self) -> dict[str, Any]:
        return {"reducer": "warped", "warps": {layer: _about(each) for layer, each in self.places.items()}}

    def arrays(self, layer: str, shape: Sequence[int]) -> Arrays:
        channels = as_map(torch.empty(1, *shape, device="meta"), layer).shape[1]
        return {"vectors": ((self.places[layer].rows, channels), "float32")}

    def rows(self, layer: str, activation: Tensor, indices: Sequence[int]) -> Rows:
        return {"vectors": self.places[layer].targets(activation, indices, layer).numpy()}


def drawn(places: SharedPositions) -> int:
    """Places that are drawn in each picture: those of the frame, where it has fewer."""
    return len(places.rows("", torch.zeros(1, 1, *places.frame), [0])["vectors"])


def _about(places: WarpedPlaces) -> dict[str, Any]:
    found = {"warp": places.warp.name, "overlay": asdict(places.overlay), "count": places.count, "seed": places.seed}
    found["neighbourhood"] = places.neighbourhood
    return _listed(found)


def _listed(value: Any) -> Any:
    """A value as JSON gives it back: with lists instead of tuples."""
    if isinstance(value, dict):
        return {key: _listed(each) for key, each in value.items()}
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value
