"""Activation grids: a whole photo as the network sees it, one picture for each position."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from recipes.options.fields import MOST, check_integer, option
from recipes.outputs.file_names import safe_name
from recipes.photo.icons import Icon, PhotoIcons, strongest
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

    from recipes.outputs.manifest import Record

GROUND = 1.0
"""Grey level between the cells."""


def cell_side(magnitude: float, largest: float, pitch: int) -> int:
    """Side in pixels of a cell whose area is to the full one, `pitch` squared, as magnitude is to the largest.

    Example:
        >>> cell_side(1.0, 4.0, 96)
        48
    """
    return max(1, round(pitch * math.sqrt(magnitude / largest)))


def compose(cells: Sequence[tuple[int, int, float, Tensor]], rows: int, columns: int, pitch: int) -> Tensor:
    """The grid as one picture (3, rows * pitch, columns * pitch) in [0, 1].

    Args:
        cells: (row, column, magnitude, icon (3, h, w) in [0, 1]); each is cut to the middle of its place, its area
            in proportion to its magnitude. Places without one stay white.
        pitch: side of a place in pixels.
    """
    import torch
    from torch.nn import functional as F

    picture = torch.full((3, rows * pitch, columns * pitch), GROUND)
    largest = max((magnitude for *_, magnitude, _ in cells), default=1.0)
    for y, x, magnitude, icon in cells:
        side = cell_side(magnitude, largest, pitch)
        fitted = F.interpolate(icon[None], (side, side), mode="bilinear", antialias=True, align_corners=False)[0]
        top, left = y * pitch + (pitch - side) // 2, x * pitch + (pitch - side) // 2
        picture[:, top : top + side, left : left + side] = fitted
    return picture


@dataclass(frozen=True, kw_only=True)
class Grid(PhotoIcons):
    """A whole photo as the network sees it: a picture for each position, as large as it is active (Olah et al. 2018).

    "The Building Blocks of Interpretability", activation grids. Besides the icons, the folder has each layer's grid as
    one picture, `grids/LAYER.png`. Positions where all channels are zero stay empty. `groups` adds neuron groups:
    directions that a non-negative matrix factorisation of the layer's activations finds, each with its map.

    Example:
        >>> Grid(image="photo.jpg", layer="features.stage3", out="OUT").name
        'grid'
    """

    name: ClassVar[str] = "grid"

    groups: int | None = option(None, "add so many factor groups of each layer (needs scikit-learn)")
    out: str = option("grid", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups is not None:
            check_integer("groups", self.groups, 1, MOST)

    def icons(self, layer: str, maps: Tensor) -> list[tuple[Unit, Icon]]:
        cells = [self.at(layer, maps, y, x) for y, x in maps.any(0).nonzero().tolist()]
        return cells + (self._groups(layer, maps, self.groups) if self.groups else [])

    def _groups(self, layer: str, maps: Tensor, count: int) -> list[tuple[Unit, Icon]]:
        from recipes.photo.neuron_groups import colours, factorise

        factors, found = factorise(maps, count, self.seed), []
        for index, (colour, vector, where) in enumerate(
            zip(colours(count), factors.directions, factors.maps, strict=True)
        ):
            if not bool(vector.any()):
                continue  # the factorisation needed fewer groups
            metrics = {
                "group": index,
                "colour": colour,
                "map": [[round(value, 4) for value in row] for row in where.tolist()],
                "channels": [{"channel": c, "value": v} for c, v in strongest(vector, self.count)],
                "error": factors.error,
            }
            file = f"images/{safe_name(layer)}/group-{index:02d}.png"
            found.append((Unit(layer, None, "group", file, batch=f"{layer} group"), Icon(vector, metrics)))
        return found

    def assemble(self, folder: Path, records: Collection[Record]) -> None:
        from recipes.outputs.atomic import write_png

        shapes: dict[str, tuple[int, int]] = next(
            (record.metrics["maps"] for record in records if record.metrics.get("maps")), {}
        )
        for layer, (rows, columns) in shapes.items():
            cells = [
                _cell(folder, record) for record in records if record.metrics.get("position") and record.layer == layer
            ]
            write_png(folder / "grids" / f"{safe_name(layer)}.png", compose(cells, rows, columns, self.icon))


def _cell(out: Path, record: Record) -> tuple[int, int, float, Any]:
    from recipes.pictures.reading import read_picture

    y, x = record.metrics["position"]
    return y, x, record.metrics["magnitude"], read_picture(out / record.file)
