"""The tensors inside a module's output: one tensor, a tuple, a mapping, a dataclass, or any nesting of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from inverter_errors import BadInput, BadType, plural

PREFERRED = ("logits", "out", "image_embeds", "last_hidden_state")
"""Names of the main tensor in outputs of several, in order: of classifiers, segmentation networks, image towers and
encoders."""


def parts(output: Any) -> dict[str, Any]:
    """The named parts of an output that is no tensor: the entries of a mapping, fields, or places 0, 1, ..."""
    if isinstance(output, Mapping):
        return {str(name): part for name, part in output.items()}
    if hasattr(output, "_fields"):  # a named tuple
        return dict(zip(output._fields, output, strict=True))
    if isinstance(output, tuple | list):
        return {str(place): part for place, part in enumerate(output)}
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    return {name: part for name, part in getattr(output, "__dict__", {}).items() if not name.startswith("_")}


def named_tensors(output: Any) -> dict[str, Tensor]:
    """All tensors of an output by their dotted names, such as `logits`, `1` or `aux.features`; "" for a tensor."""
    if isinstance(output, Tensor):
        return {"": output}
    found: dict[str, Tensor] = {}
    for name, part in parts(output).items():
        # Objects are searched for tensors themselves only: what their attributes refer to may have no end.
        if isinstance(part, Tensor | Mapping | tuple | list) or dataclasses.is_dataclass(part):
            found |= {f"{name}.{inner}" if inner else name: tensor for inner, tensor in named_tensors(part).items()}
    return found


def main_tensor(output: Any) -> Tensor | None:
    """The tensor that an output stands for; None if there is none, or several of which none is the main one.

    It is the output itself, the only tensor, one named as in `PREFERRED`, or the first of a tuple or list. Tensors
    without a batch (a loss) and of integers count only where there are no others.
    """
    if isinstance(output, Tensor):
        return output
    tensors = named_tensors(output)
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.ndim}
    tensors = floating or tensors
    for preferred in PREFERRED:
        for name, tensor in tensors.items():
            if preferred in name.split("."):
                return tensor
    if len(tensors) == 1 or (tensors and isinstance(output, tuple | list)):
        return next(iter(tensors.values()))
    return None


def first_tensor(output: Any) -> Tensor | None:
    """The main tensor of an output, or the first one if none is the main one; None if there is no tensor."""
    return main if (main := main_tensor(output)) is not None else next(iter(named_tensors(output).values()), None)


def select_tensor(output: Any, name: str, layer: str) -> Tensor:
    """The tensor of a layer's output that an address means.

    Args:
        output: what the layer returned.
        name: of one of its tensors; "" for the main one.
        layer: the layer's name, for errors.

    Returns:
        The tensor; of a quantised or sparse one, its values.

    Raises:
        BadType: if the output holds no tensor.
        BadInput: if it has none of this name, or several and no main one; the error lists the names. Also for complex
            numbers.
    """
    tensor = _select(output, name, layer)
    if tensor.is_complex():
        what = f"layer {layer!r}" if layer else "the network"
        raise BadInput(f"{what} outputs complex numbers, which have no order: read a layer before or after it")
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def _select(output: Any, name: str, layer: str) -> Tensor:
    if not name and (main := main_tensor(output)) is not None:
        return main
    known, what = named_tensors(output), f"layer {layer!r}" if layer else "the network"
    if not known:
        raise BadType(f"{what} returned {type(output).__name__}, expected a tensor or something that holds one")
    if name in known:
        return known[name]
    short = {inner.rpartition(".")[2]: inner for inner in known}
    if name and name in short:
        return known[short[name]]
    choice = ", ".join(f"{layer or 'output'}:{inner}" for inner in known if inner)
    if name:
        raise BadInput(f"{what} returned no tensor named {name!r}; expected {choice or 'no name: it is one tensor'}")
    raise BadInput(f"{what} returned {plural(len(known), 'tensor')}: choose one by its address, {choice}")
