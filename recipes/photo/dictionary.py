"""Semantic dictionaries: the strongest channels at each position of a photo, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, plural
from recipes.options.fields import option
from recipes.outputs.file_names import safe_name
from recipes.photo.icons import Icon, PhotoIcons
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

ALL = "all"


def parse_positions(positions: str | Sequence[str], rows: int, columns: int, layer: str) -> list[tuple[int, int]]:
    """Positions of a map.

    Args:
        positions: `all`, `ROW,COLUMN`, or several of these.
        rows: of the map.
        columns: of the map.
        layer: its address, for errors.

    Returns:
        (row, column) of each position once, in the order given.

    Raises:
        BadInput: for text of another form, or a position outside the map.

    Example:
        >>> parse_positions(["1,0", "0,1"], 2, 2, "conv")
        [(1, 0), (0, 1)]
    """
    parsed: list[tuple[int, int]] = []
    for text in [positions] if isinstance(positions, str) else positions:
        if text == ALL:
            parsed += [(y, x) for y in range(rows) for x in range(columns)]
            continue
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 2 or not all(part.isdecimal() and part.isascii() for part in parts):
            raise BadInput(f"positions: {text!r} is no position; expected all, or ROW,COLUMN such as 6,7")
        y, x = int(parts[0]), int(parts[1])
        if y >= rows or x >= columns:
            raise BadInput(
                f"position {y},{x} is outside the map of layer {layer!r}, which has {plural(rows, 'row')} and "
                f"{plural(columns, 'column')} (0,0 to {rows - 1},{columns - 1})"
            )
        parsed.append((y, x))
    return list(dict.fromkeys(parsed))


@dataclass(frozen=True, kw_only=True)
class Dictionary(PhotoIcons):
    """A picture of each position's activation vector, and of its strongest channels (Olah et al. 2018).

    "The Building Blocks of Interpretability": a semantic dictionary pairs each neuron's activation with a
    visualization of the neuron. Each channel is optimised once, for all positions where it is strong.

    Raises:
        BadInput: for options out of their range, or (in `run`) a position outside the map or without activation.

    Example:
        >>> Dictionary(image="photo.jpg", layer="features.stage3", positions="3,4", out="OUT").name
        'dictionary'
    """

    name: ClassVar[str] = "dictionary"

    positions: str | Sequence[str] = option(
        ALL,
        "positions in the layer's map: all, or ROW,COLUMN from the upper left; may be repeated",
        repeat=True,
        grows=True,
    )
    out: str = option("dictionary", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        given = (self.positions,) if isinstance(self.positions, str) else tuple(self.positions)
        if not given or not all(isinstance(text, str) for text in given):
            raise BadInput(f"positions: got {self.positions!r}; expected all, or texts ROW,COLUMN")

    def settings(self) -> dict[str, Any]:
        positions = [self.positions] if isinstance(self.positions, str) else list(self.positions)
        return super().settings() | {"positions": positions}

    def icons(self, layer: str, maps: Tensor, names: Sequence[str] = ()) -> list[tuple[Unit, Icon]]:
        rows, columns = maps.shape[1:]
        icons = []
        for y, x in parse_positions(self.positions, rows, columns, layer):
            if bool(maps[:, y, x].any()):
                icons.append(self.position_icon(layer, maps, y, x, names))
            elif ALL not in self.positions:
                raise BadInput(f"position {y},{x} of layer {layer!r} is all zero for {self.image}: choose another")
        channels = dict.fromkeys(each["channel"] for _, icon in icons for each in icon.metrics["channels"])
        units = [self._channel(layer, channel, names) for channel in channels]
        return icons + [(unit, Icon(_unit(unit.channel or 0, len(maps)), {})) for unit in units]

    def _channel(self, layer: str, channel: int, names: Sequence[str]) -> Unit:
        file = f"images/{safe_name(layer)}/channel-{channel:04d}.png"
        name = names[channel] or None if channel < len(names) else None
        return Unit(layer, channel, "channel", file, name=name, batch=f"{layer} channel")


def _unit(channel: int, channels: int) -> Tensor:
    import torch

    return torch.eye(channels, dtype=torch.float32)[channel]
