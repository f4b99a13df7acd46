"""Forward passes that continue from another activation than that of a layer, as maps of its places."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from inverter import Model
from inverter.capture.addresses import ALL, INPUT, resolve
from inverter.capture.attention import is_attention
from inverter.capture.outputs import first_tensor, parts, select_tensor
from inverter_errors import BadInput


@contextmanager
def replaced_activation(
    model: Model, layer: str, size: tuple[int, int], replace: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """A context in which forward passes continue from `replace(activation)` instead of a layer's activation.

    Enter it before `score_function` or `Model.capture`: a target that reads the same layer then reads the replacement.
    The network is not frozen by this context.

    Args:
        model: the network.
        layer: an address; `name#k` is the k-th call of a module in a forward pass, `name@all` its tensor as it is.
        size: (height, width) of the images.
        replace: the layer's activation, as `Model.capture` arranges it -> a tensor of the same shape; it is called once
            in every forward pass. What the arrangement leaves out (a class token) stays as it is, and so does what
            latents of directions leave out of their layer: the error of the reconstruction.

    Raises:
        NotFound: for an unknown layer.
        BadInput: for one token, attention weights or a head, which can only be read; in the forward pass, for a layer
            whose output holds no tensor.
    """
    if (derived := model.directions.derived(layer)) is not None:
        layer, replace = derived.base, partial(model.directions.exchange, derived, replace)
    where = resolve(model.module, layer)
    if is_attention(where.part) or where.token not in ("", ALL):
        raise BadInput(
            f"{layer!r} can be read, but not replaced in a forward pass: choose the layer that it is part of"
        )
    axes = None if where.token == ALL else model.axes(layer, size)
    calls, batch = Counter[str](), list[int]()

    def begin(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        calls.clear()
        batch[:] = [len(inputs[0])]

    def changed(held: Any) -> Any:
        calls[where.name] += 1
        if calls[where.name] - 1 != where.call:
            return None
        tensor = first_tensor(held) if where.part == INPUT else select_tensor(held, where.part, where.name)
        if tensor is None:
            raise BadInput(f"no tensor goes into module {where.name!r}: choose another layer than {layer!r}")
        if not tensor.is_floating_point():
            raise BadInput(
                f"layer {layer!r} outputs a tensor of {tensor.dtype}, expected one of real numbers: choose another"
            )
        if axes is None or axes.rank != tensor.ndim:
            return exchanged(held, tensor, replace(tensor))
        return exchanged(held, tensor, axes.put(tensor, replace(axes.maps(tensor, batch[0], size)), size))

    with ExitStack() as stack:
        stack.callback(model.module.register_forward_pre_hook(begin).remove)
        part = model.module.get_submodule(where.name)
        if where.part == INPUT:
            handle = part.register_forward_pre_hook(lambda _module, inputs: changed(inputs))
        else:
            handle = part.register_forward_hook(lambda _module, _inputs, output: changed(output))
        stack.callback(handle.remove)
        yield


def exchanged(held: Any, old: Tensor, new: Tensor) -> Any:
    """What a module takes or returns, with one of its tensors exchanged for another.

    Args:
        held: a tensor, or a tuple, list, mapping or dataclass, however nested; it is not changed.
        old: the tensor in it.
        new: what takes its place.

    Example:
        >>> import torch
        >>> one, other = torch.zeros(1), torch.ones(1)
        >>> exchanged({"a": (one, 3)}, one, other)
        {'a': (tensor([1.]), 3)}
    """
    if held is old:
        return new
    if isinstance(held, tuple | list):
        found = [exchanged(each, old, new) for each in held]
        return type(held)(*found) if hasattr(held, "_fields") else type(held)(found)
    if not isinstance(held, Mapping) and not dataclasses.is_dataclass(held):
        return held
    changes = {name: exchanged(each, old, new) for name, each in parts(held).items()}
    changes = {name: each for name, each in changes.items() if each is not parts(held)[name]}
    if not isinstance(held, Mapping):
        return dataclasses.replace(held, **changes) if changes else held  # type: ignore[type-var]
    other: Any = copy.copy(held)
    for name, each in changes.items():
        other[name] = each
    return other
