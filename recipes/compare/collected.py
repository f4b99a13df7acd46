"""The activations of a comparison: one pass over the pictures as they are, and one for each warp of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from inverter import Model, ReceptiveField, receptive_fields
from inverter_errors import BadInput, plural
from objectives.units import as_map
from recipes.activations.collect import CollectedActivations, collect
from recipes.activations.map_geometry import overlay
from recipes.activations.reducers import SharedPositions
from recipes.compare.moments import PARTS
from recipes.compare.rows import ComparedRows, WarpedRows
from recipes.compare.warped_places import WarpedPlaces, warp_picture
from recipes.compare.warps import Warp
from recipes.pictures.sets import PictureSet

if TYPE_CHECKING:
    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback

LEAST = 2 * PARTS
"""Pictures that a comparison needs: two in each part."""


@dataclass(frozen=True)
class Collected:
    """What the passes of a comparison collected.

    Attributes:
        plain: of the pictures as they are, with the arrays of `ComparedRows`.
        warped: name of a warp -> of the warped pictures, with those of `WarpedRows`.
        places: name of a warp -> layer -> the warped places.
        fields: receptive fields of the layers.
    """

    plain: CollectedActivations
    warped: dict[str, CollectedActivations]
    places: dict[str, dict[str, WarpedPlaces]]
    fields: dict[str, ReceptiveField | None]


@dataclass(frozen=True)
class Plan:
    """What a comparison reads of the pictures.

    Attributes:
        layers: addresses.
        size: (height, width) of the pictures in pixels.
        positions: places that are drawn in each picture.
        pooled: True if layers are compared by the mean over each map instead.
        warps: of the pictures.
        neighbourhood: side of the square of places that a warped place is predicted from.
        seed: of the draws.
    """

    layers: Sequence[str]
    size: tuple[int, int]
    positions: int
    pooled: bool
    warps: Sequence[Warp]
    neighbourhood: int
    seed: int

    def collect(
        self,
        model: Model,
        pictures: PictureSet,
        out: Path,
        batch: int | None,
        fresh: bool,
        progress: RunProgressCallback | None,
        executor: Executor,
    ) -> Collected:
        """Makes the passes, or what is left of them.

        Args:
            model: the network, or several as one.
            pictures: the set.
            out: folder of the passes.
            batch: as in `recipes.activations.collect.collect`.
            fresh: start over.
            progress: called with a `RunProgress`, in pictures.
            executor: distributes the work.

        Raises:
            BadInput: for fewer than `LEAST` pictures that can be read, or a warp that leaves no place of a layer.
            LayerNotFound: for an unknown layer.
        """
        shapes = {layer: tuple(shape[1:]) for layer, shape in model.shapes(self.layers, self.size).items()}
        for layer, shape in shapes.items():
            as_map(torch.empty(1, *shape, device="meta"), layer)  # refuses what is neither map nor vector
        fields = receptive_fields(model, self.layers, self.size)
        places = {
            warp.name: {layer: self._places(warp, fields[layer], shapes[layer]) for layer in self.layers}
            for warp in self.warps
        }
        for name, by_layer in places.items():
            for layer, each in by_layer.items():
                if not each.rows:
                    raise BadInput(f"warp {name}: no place of layer {layer!r} stays inside the picture; leave it out")
        maps = [shape[1:] for shape in shapes.values() if len(shape) == 3 and shape[1] * shape[2] > 1] or [(1, 1)]
        frame = min(height for height, _ in maps), min(width for _, width in maps)
        drawn = SharedPositions(self.positions, seed=self.seed, dtype="float32", frame=frame)
        shared = None if self.pooled else drawn
        warps = {layer: [places[warp.name][layer] for warp in self.warps] for layer in self.layers}
        go = partial(collect, model, size=self.size, batch=batch, fresh=fresh, progress=progress, executor=executor)
        plain = go(pictures, self.layers, ComparedRows(shared, warps), out=out / "plain")
        check_enough(len(plain.names) - len(plain.skipped))
        warped = {}
        for warp in self.warps:
            turned = PictureSet(pictures.names, _Warped(pictures, warp), pictures.readers)
            reducer, folder = WarpedRows(places[warp.name]), out / warp.file_name
            warped[warp.name] = go(turned, self.layers, reducer, out=folder)
        return Collected(plain, warped, places, fields)

    def _places(self, warp: Warp, field: ReceptiveField | None, shape: tuple[int, ...]) -> WarpedPlaces:
        lies = overlay(field, shape, self.size)
        return WarpedPlaces(warp, lies, self.size, self.positions, self.neighbourhood, self.seed)


def check_enough(pictures: int) -> None:
    """Raises a BadInput for fewer pictures than `LEAST`."""
    if pictures < LEAST:
        raise BadInput(f"got {plural(pictures, 'picture')} to compare on; expected at least {LEAST}, better hundreds")


@dataclass(frozen=True)
class _Warped:
    """Loads the pictures of a set warped. A dataclass instead of a closure, so that it can be pickled."""

    pictures: PictureSet
    warp: Warp

    def __call__(self, index: int, size: tuple[int, int]) -> Tensor:
        return warp_picture(self.warp, self.pictures.read(index, size))
