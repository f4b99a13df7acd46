"""Receptive fields: the window of the picture that a unit depends on, traced through the actual operations."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from inverter.capture.addresses import Address, resolve
from inverter.capture.outputs import first_tensor, named_tensors
from inverter.ensemble import Ensemble
from inverter.failures import batched, cannot_process
from inverter.fields.geometry import Axis, PlaceWindow, ReceptiveField
from inverter.fields.tracker import FieldTracker
from inverter.isolation.forward_errors import FORWARD_ERRORS, may_be_memory_order
from inverter.isolation.frozen import frozen
from inverter.isolation.own_draws import OwnDraws
from inverter.isolation.switches import normal_tensors
from inverter.isolation.torchscript import named_layers, script_of
from inverter.models import Model
from inverter_errors import InverterError

__all__ = ["Axis", "Calls", "ReceptiveField", "follow", "receptive_fields"]

Calls = dict[str, list[tuple[Tensor | None, ReceptiveField | None]]]
"""Name of a module -> the main tensor of each of its calls' outputs, and its receptive field (None: unknown).

Of an output of several tensors each is there too, under its address (`layer:NAME`, `output:NAME`)."""


@torch.no_grad()
def follow(model: Model, size: tuple[int, int], needed: Sequence[Address] = ()) -> Calls:
    """Traces a forward pass of one picture.

    Args:
        model: the network.
        size: (height, width) of the picture in pixels.
        needed: layers; once they have run, what comes after may fail: a head that takes pictures of one size only.

    Returns:
        Outputs and receptive fields of all modules that run, in the order of their first calls.

    Raises:
        BadInput: if the network cannot process such a picture.
    """
    try:
        try:
            return _calls(model, size, needed)
        except FORWARD_ERRORS as error:
            if not (may_be_memory_order(error) and model.relay()):
                raise
            return _calls(model, size, needed)
    except InverterError:
        raise
    except FORWARD_ERRORS as error:
        raise cannot_process(model, error, size, (), lambda _, own: _calls(model, own)) from error


def _calls(model: Model, size: tuple[int, int], needed: Sequence[Address] = ()) -> Calls:
    seen: Calls = {}
    with ExitStack() as stack:
        picture = torch.full((1, len(model.mean), *size), 0.5, dtype=torch.float32, device=model.device)
        tracker = FieldTracker(picture)
        for name, part in named_layers(model.module).items():

            def hook(_part: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                tensor = first_tensor(output)
                fields = tracker.field(tensor) if tensor is not None else None
                seen.setdefault(name, []).append((tensor.detach() if tensor is not None else None, fields))
                for part, each in named_tensors(output).items() if not isinstance(output, Tensor) else ():
                    known = seen.setdefault(f"{name or 'output'}:{part}", [])
                    known.append((each.detach(), tracker.field(each)))

            stack.callback(part.register_forward_hook(hook).remove)
        stack.enter_context(normal_tensors())
        stack.enter_context(batched(model.module))
        stack.enter_context(frozen(model.module))
        with OwnDraws().apply(picture.device), nullcontext() if script_of(model.module) else tracker:
            try:
                model.module(model.normalize(picture))
            except FORWARD_ERRORS:
                if not needed or any(each.call >= len(seen.get(each.name, ())) for each in needed):
                    raise
    return seen


def receptive_fields(
    model: Model, layers: Sequence[str], size: tuple[int, int] | None = None
) -> dict[str, ReceptiveField | None]:
    """The receptive fields of layers (Araujo et al. 2019).

    Args:
        model: from `load_model`.
        layers: addresses.
        size: (height, width) of the picture in pixels; default: the model's own.

    Returns:
        Address -> receptive field; None where it is unknown, the layer does not run, or is of one of several networks
        that is shown the picture at another size. That of a token is unknown;
        it is represented by the token's patch and the patches next to it, with `traced` False.

    Raises:
        LayerNotFound: for an address that names no layer.
        BadInput: if the network cannot process such a picture as far as the layers.

    Example:
        >>> from inverter import load_model
        >>> model = load_model(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2)), input_size=32)
        >>> receptive_fields(model, ["1"])["1"].window(0, 4, (32, 32))
        (0, 7, 3, 11)
    """
    for layer in layers:
        model.check_layer(layer)
    size = model.size_for(size)
    if isinstance(model, Ensemble):
        return _of_networks(model, layers, size)
    addresses = {layer: resolve(model.module, model.directions.base(layer)) for layer in layers}
    seen = follow(model, size, list(addresses.values()))
    found = {}
    for layer, address in addresses.items():
        part = f"{address.name or 'output'}:{address.part}" if address.part else address.name
        calls = seen.get(part, [])
        traced = address.call < len(calls) and not address.token
        field = calls[address.call][1] if traced else None
        found[layer] = field or _patches(model, layer, size)
    return found


def _of_networks(model: Ensemble, layers: Sequence[str], size: tuple[int, int]) -> dict[str, ReceptiveField | None]:
    """The receptive fields of layers of several networks."""
    found: dict[str, ReceptiveField | None] = dict.fromkeys(layers)
    for layer in layers:
        if layer not in ("", "output"):
            name, own = model.owner(layer)
            if model.size_of(name, size) == size:
                found[layer] = receptive_fields(model.networks[name], [own], size)[own]
    return found


def _patches(model: Model, layer: str, size: tuple[int, int]) -> ReceptiveField | None:
    """The windows that represent the places of a layer of tokens or channels-last maps."""
    address = resolve(model.module, model.directions.base(layer))
    axes = model.axes(layer, size)
    if axes is None or axes.letters in ("", "BCHW") or not axes.ordered or address.token:
        return None
    shape = model.shapes([layer], size)[layer]
    if len(shape) != 4:
        return None
    strides = [side / places for side, places in zip(size, shape[2:], strict=True)]
    return PlaceWindow(*(Axis(stride, -stride, 2 * stride - 1) for stride in strides))
