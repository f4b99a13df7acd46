"""The layers of a network as a table: address, type, channels, map size, receptive field and stages."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from inverter.models import Model
from inverter.receptive_field import follow


@dataclass(frozen=True)
class LayerInfo:
    """One row of the table.

    Attributes:
        name: the address.
        type: the module's class.
        calls: how often it runs in one forward pass.
        channels: of its activation, None if that has fewer than two dimensions.
        size: (height, width) of its map, None if it outputs no map.
        receptive_field: its side in pixels; `inf` if a unit sees the full picture, None if unknown.
        stage: True for the children of the network's main sequence that output maps.
    """

    name: str
    type: str
    calls: int
    channels: int | None
    size: tuple[int, int] | None
    receptive_field: float | None
    stage: bool = False


def layers(model: Model, size: tuple[int, int] | None = None) -> list[LayerInfo]:
    """The table of a network's layers: every module that runs in a forward pass, in the order of the first calls.

    Args:
        model: from `load_model`.
        size: (height, width) of the picture in pixels; default: the model's own.

    Returns:
        One row for each module.

    Raises:
        BadInput: if the network cannot process such a picture.
    """
    seen = follow(model, model.size_for(size))
    types = {name: type(part).__name__ for name, part in model.module.named_modules()}
    stages = _stages(model.module, {name for name, calls in seen.items() if _map_size(calls[0][0])})
    rows = []
    for name, calls in seen.items():
        if not name:
            continue  # the network itself
        tensor, fields = calls[0]
        size = _map_size(tensor)
        side = None if fields is None else fields.size
        channels = None if tensor is None or tensor.ndim < 2 else tensor.shape[1]
        rows.append(LayerInfo(name, types[name], len(calls), channels, size, side, name in stages))
    return rows


def _map_size(tensor: Tensor | None) -> tuple[int, int] | None:
    if tensor is None or tensor.ndim != 4 or tensor.shape[2:] == (1, 1):
        return None
    return tensor.shape[2], tensor.shape[3]


def _stages(root: nn.Module, maps: set[str]) -> list[str]:
    """The children of the main sequence that output maps.

    The main sequence is found by descending from the root for as long as a single child with maps has parameters:
    `features` in SqueezeNet and VGG, the root itself in a ResNet.
    """
    name, part = "", root
    while True:
        children = [(f"{name}.{key}" if name else key, child) for key, child in part.named_children()]
        children = [(address, child) for address, child in children if address in maps]
        learned = [pair for pair in children if any(True for _ in pair[1].parameters())]
        if len(learned) != 1 or not any(True for _ in learned[0][1].named_children()):
            return [address for address, _ in children]
        name, part = learned[0]


def stages(model: Model, size: tuple[int, int] | None = None) -> list[str]:
    """Addresses of the stages, in order: what `--layer all` means.

    Args:
        model: from `load_model`.
        size: (height, width) of the picture in pixels; default: the model's own.

    Returns:
        The names of the rows of `layers` that are stages.

    Raises:
        BadInput: if the network cannot process such a picture.
    """
    return [row.name for row in layers(model, size) if row.stage]
