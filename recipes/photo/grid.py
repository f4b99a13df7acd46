"""Activation grids: a photo as a layer represents it, one picture for each position."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from recipes.options.fields import MOST, check_integer, option
from recipes.outputs.file_names import safe_name
from recipes.photo.icons import Icon, PhotoIcons, listed
from recipes.runner.natural_fields import ICON_WEIGHT
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

    from recipes.outputs.manifest import Record

BACKGROUND = 1.0
"""Grey level between the cells, in [0, 1]."""


def cell_side(magnitude: float, largest: float, pitch: int) -> int:
    """The side of a cell whose area is proportional to its magnitude.

    Args:
        magnitude: of the cell's activation vector.
        largest: magnitude of the grid; such a cell has the full side.
        pitch: the full side in pixels.

    Returns:
        The side in pixels, from 1 to `pitch`.

    Example:
        >>> cell_side(1.0, 4.0, 96)
        48
    """
    return max(1, round(pitch * math.sqrt(magnitude / largest)))


def compose(cells: Sequence[tuple[int, int, float, Tensor]], rows: int, columns: int, pitch: int) -> Tensor:
    """Draws a grid as one picture: each icon in the centre of its cell, with an area proportional to its magnitude.

    Args:
        cells: (row, column, magnitude, icon (3, h, w) in [0, 1]); cells that are not given stay white.
        rows: of the grid.
        columns: of the grid.
        pitch: side of a cell in pixels.

    Returns:
        (3, rows * pitch, columns * pitch) in [0, 1].
    """
    import torch
    from torch.nn import functional as F

    picture = torch.full((3, rows * pitch, columns * pitch), BACKGROUND, dtype=torch.float32)
    largest = max((magnitude for *_, magnitude, _ in cells), default=1.0)
    for y, x, magnitude, icon in cells:
        side = cell_side(magnitude, largest, pitch)
        fitted = F.interpolate(icon[None], (side, side), mode="bilinear", antialias=True, align_corners=False)[0]
        top, left = y * pitch + (pitch - side) // 2, x * pitch + (pitch - side) // 2
        picture[:, top : top + side, left : left + side] = fitted
    return picture


@dataclass(frozen=True, kw_only=True)
class Grid(PhotoIcons):
    """A picture of each position's activation vector, sized by its magnitude: an activation grid (Olah et al. 2018).

    From "The Building Blocks of Interpretability". The folder also has each layer's grid as one picture,
    `grids/LAYER.png`. Positions where all channels are zero stay empty. `groups` adds neuron groups: the factors of a
    non-negative matrix factorisation A ~ maps x directions of the layer's activations, each with its map and its icon.

    Raises:
        BadInput: for options out of their range, or (in `run`) more groups than channels or positions.
        MissingLibrary: in `run`, for groups without scikit-learn.

    Example:
        >>> Grid(image="photo.jpg", layer="features.stage3", out="OUT").name
        'grid'
    """

    name: ClassVar[str] = "grid"

    groups: int | None = option(None, "number of neuron groups (NMF factors) to add for each layer; needs scikit-learn")
    out: str = option("grid", "output folder")

    @property
    def usual_natural_weight(self) -> float:
        return ICON_WEIGHT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups is not None:
            check_integer("groups", self.groups, 1, MOST)

    def icons(self, layer: str, maps: Tensor, names: Sequence[str] = ()) -> list[tuple[Unit, Icon]]:
        cells = [self.position_icon(layer, maps, y, x, names) for y, x in maps.any(0).nonzero().tolist()]
        return cells + (self._groups(layer, maps, self.groups, names) if self.groups else [])

    def _groups(self, layer: str, maps: Tensor, count: int, names: Sequence[str]) -> list[tuple[Unit, Icon]]:
        from recipes.photo.neuron_groups import colours, factorise

        factors, icons = factorise(maps, count, self.seed), []
        for index, (colour, vector, where) in enumerate(
            zip(colours(count), factors.directions, factors.maps, strict=True)
        ):
            if not bool(vector.any()):
                continue  # the factorisation needed fewer groups
            metrics = {
                "group": index,
                "colour": colour,
                "map": [[round(value, 4) for value in row] for row in where.tolist()],
                "channels": listed(vector, self.count, names),
                "error": factors.error,
            }
            file = f"images/{safe_name(layer)}/group-{index:02d}.png"
            icons.append((Unit(layer, None, "group", file, batch=f"{layer} group"), Icon(vector, metrics)))
        return icons

    def assemble(self, folder: Path, records: Collection[Record]) -> dict[str, Path]:
        from recipes.outputs.atomic import write_png
        from recipes.outputs.provenance import provenance

        positions = [record for record in records if record.metrics.get("position")]
        shapes = {record.layer: record.metrics["map_size"] for record in positions}
        made: dict[str, Path] = {}
        for layer, (rows, columns) in shapes.items():
            cells = [_cell(folder, record) for record in positions if record.layer == layer]
            about = provenance(self.name, self.settings(), growing=self.growing) | {"layer": layer}
            picture = compose(cells, rows, columns, self.icon)
            made[f"grid of {layer}"] = path = folder / "grids" / f"{safe_name(layer)}.png"
            write_png(path, picture, about)
        return made


def _cell(out: Path, record: Record) -> tuple[int, int, float, Any]:
    from recipes.pictures.reading import read_picture

    y, x = record.metrics["position"]
    return y, x, record.metrics["magnitude"], read_picture(out / record.file)
