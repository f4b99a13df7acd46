"""The layers of a network as a table: address, type, channels, map size, receptive field and stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from inverter.capture.addresses import resolve
from inverter.capture.axes import Axes
from inverter.ensemble import Ensemble
from inverter.fields.geometry import ReceptiveField
from inverter.fields.receptive_field import follow
from inverter.models import Model
from inverter.notebook import table


@dataclass(frozen=True)
class LayerInfo:
    """One row of the table.

    Attributes:
        name: the address.
        type: the module's class.
        calls: how often it runs in one forward pass.
        channels: of its activation, None if that has fewer than two dimensions.
        size: (height, width) of its map, None if it outputs no map. Tokens of patches lie on a map as well.
        receptive_field: its longer side in pixels; `inf` if a unit sees the full picture, None if unknown.
        stage: True for the children of the network's main sequence that output maps.
        axes: what each axis of its tensor is, such as `BCHW` or `BNC+1` (`Axes`); "" if that is not known.
        field: the receptive field along both axes, None if unknown.
    """

    name: str
    type: str
    calls: int
    channels: int | None
    size: tuple[int, int] | None
    receptive_field: float | None
    stage: bool = False
    axes: str = ""
    field: ReceptiveField | None = dataclasses.field(default=None, compare=False)

    @property
    def cells(self) -> dict[str, str]:
        """The row as people read it: title of a column -> text."""
        return {
            "layer": self.name,
            "type": self.type,
            "calls": str(self.calls),
            "axes": self.axes,
            "channels": "" if self.channels is None else str(self.channels),
            "map": "" if self.size is None else f"{self.size[0]}x{self.size[1]}",
            "receptive field": "" if self.field is None else str(self.field),
            "stage": "*" if self.stage else "",
        }


class LayerTable(list[LayerInfo]):
    """The rows of a network; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        return table([row.cells for row in self])


def layers(model: Model, size: tuple[int, int] | None = None) -> LayerTable:
    """The table of a network's layers: every module that runs in a forward pass, in the order of the first calls.

    Args:
        model: from `load_model`.
        size: (height, width) of the picture in pixels; default: the model's own.

    Returns:
        One row for each module; of several networks, `NAME:LAYER` of each in turn.

    Raises:
        BadInput: if the network cannot process such a picture.
    """
    size = model.size_for(size)
    if isinstance(model, Ensemble):
        tables = {name: layers(one, model.size_of(name, size)) for name, one in model.networks.items()}
        return LayerTable(replace(row, name=f"{name}:{row.name}") for name, rows in tables.items() for row in rows)
    seen = follow(model, size)
    types = {name: type(part).__name__ for name, part in model.module.named_modules()}
    rows = []
    for name, calls in seen.items():
        if not name or name not in types:
            continue  # the network itself, and tensors inside of outputs
        tensor, fields = calls[0]
        axes = None if tensor is None else model.axes(name, size)
        shape = None if tensor is None else _arranged(tensor, axes, size)
        side = None if fields is None else fields.size
        channels = None if shape is None or len(shape) < 2 else shape[1]
        on_grid = axes is None or axes.ordered
        rows.append(
            LayerInfo(
                name,
                types[name],
                len(calls),
                channels,
                _map_size(shape) if on_grid else None,
                side,
                axes="" if axes is None else str(axes),
                field=fields,
            )
        )
    stages = _stages(model.module, {row.name for row in rows if row.size})
    rows = [replace(row, stage=row.name in stages) for row in rows]
    return LayerTable(each for row in rows for each in (row, *_derived(model, row)))


def _derived(model: Model, row: LayerInfo) -> Iterator[LayerInfo]:
    """The rows of the latents that sets of directions add to a layer."""
    for name, one in model.directions.items():
        address = model.directions.address(name)
        if resolve(model.module, model.directions.base(address)).name == row.name:
            size = None if "@" in address else row.size
            yield replace(
                row, name=address, type=f"Directions ({one.gate})", channels=one.count, size=size, stage=False
            )


def _arranged(tensor: Tensor, axes: Axes | None, size: tuple[int, int]) -> torch.Size:
    """The shape of a layer's tensor as `Model.capture` returns it."""
    if axes is None or axes.rank != tensor.ndim:
        return tensor.shape
    return axes.maps(torch.empty(tensor.shape, device="meta"), 1, size).shape


def outputs(model: Model, size: tuple[int, int] | None = None) -> dict[str, torch.Size]:
    """The tensors that a network returns.

    Args:
        model: from `load_model`.
        size: (height, width) of the picture in pixels; default: the model's own.

    Returns:
        Address -> shape for one picture, (1, ...); `output` where it is a single tensor.

    Raises:
        BadInput: if the network cannot process such a picture.
    """
    size = model.size_for(size)
    if isinstance(model, Ensemble):
        tables = {name: outputs(one, model.size_of(name, size)) for name, one in model.networks.items()}
        return {f"{name}:{key}": shape for name, table in tables.items() for key, shape in table.items()}
    seen = follow(model, size)
    found = {name: calls[0][0] for name, calls in seen.items() if name.startswith("output:")}
    found = found or {"output": seen[""][0][0]}
    return {name: tensor.shape for name, tensor in found.items() if tensor is not None}


def _map_size(shape: torch.Size | None) -> tuple[int, int] | None:
    if shape is None or len(shape) != 4 or shape[2:] == (1, 1):
        return None
    return shape[2], shape[3]


def _stages(root: nn.Module, maps: set[str]) -> list[str]:
    """The children of the main sequence that output maps.

    The main sequence is found by descending from the root for as long as a single child is deep, or is the only one
    with parameters: `features` in SqueezeNet and VGG, `blocks` in a vision transformer, the root itself in a ResNet.
    """
    name, part = "", root
    while True:
        children = _children(name, part, maps)
        learned = [(address, child) for address, child in children if _learned(child)]
        deep = [pair for pair in learned if _deep(*pair, maps)] or (learned if len(learned) == 1 else [])
        if len(deep) != 1 or not any(True for _ in deep[0][1].named_children()):
            return [address for address, _ in children]
        name, part = deep[0]


def _children(name: str, part: nn.Module, maps: set[str]) -> list[tuple[str, nn.Module]]:
    """The children that output maps; those of a list of modules, which itself does not run, count as children."""
    found = []
    for key, child in part.named_children():
        address = f"{name}.{key}" if name else key
        if isinstance(child, nn.ModuleList):
            found += _children(address, child, maps)
        elif address in maps:
            found.append((address, child))
    return found


def _learned(part: nn.Module) -> bool:
    return any(True for _ in part.parameters())


def _deep(name: str, part: nn.Module, maps: set[str]) -> bool:
    """True for a sequence of modules that have modules of their own."""
    inner = [
        (address, child)
        for address, child in _children(name, part, maps)
        if _learned(child) and any(_learned(each) for each in child.children())
    ]
    return len(inner) > 1 or (len(inner) == 1 and _deep(*inner[0], maps))


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
