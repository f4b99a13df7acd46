"""The layers of a network as a table: address, type, channels, map size, receptive field, and which are the stages."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from inverter.capture import first_tensor, frozen
from inverter.models import FORWARD_ERRORS, Model, first_line


@dataclass(frozen=True)
class LayerInfo:
    """One row of the table.

    Attributes:
        name: the address; type: the module's class; calls: how often it runs in one forward pass.
        channels: of its activation; size: (height, width) of its map, None if it puts out no map.
        receptive_field: side in pixels of what one unit sees; `inf` if it sees the whole picture, None if unknown.
        stage: True for the children of the network's main sequence that put out maps.
    """

    name: str
    type: str
    calls: int
    channels: int | None
    size: tuple[int, int] | None
    receptive_field: float | None
    stage: bool = False


@dataclass(frozen=True)
class _Field:
    """Along one axis, unit i sees the pixels from i * stride + low to i * stride + high."""

    stride: float
    low: float
    high: float

    def window(self, kernel: int, stride: int, padding: int, dilation: int) -> _Field:
        if self.stride == math.inf:  # what sees the whole picture goes on seeing it
            return self
        reach = (kernel - 1) * dilation - padding
        return _Field(self.stride * stride, self.low - padding * self.stride, self.high + reach * self.stride)


_SPREADING = {"native_group_norm", "native_layer_norm", "roll", "flip", "_softmax", "cumsum", "sort"}
"""Operations that keep a map's size and yet let one position see others: what lies behind them is not followed."""

_WHOLE = _Field(math.inf, -math.inf, math.inf)
_Fields = tuple[_Field, _Field]


def _union(found: Iterable[_Fields]) -> _Fields | None:
    """What a sum or a concatenation of branches sees; None (unknown) if their strides differ."""
    axes = []
    for fields in zip(*found, strict=True):
        if _WHOLE in fields:
            axes.append(_WHOLE)
        elif len({field.stride for field in fields}) > 1:
            return None
        else:
            axes.append(_Field(fields[0].stride, min(f.low for f in fields), max(f.high for f in fields)))
    return (axes[0], axes[1]) if axes else None


def _pair(value: Any, default: int) -> tuple[int, int]:
    numbers = list(value) or [default]
    return numbers[0], numbers[-1]


class _ReceptiveFields(TorchDispatchMode):
    """Follows receptive fields through every tensor operation, so any Python forward() is covered, not only graphs."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.fields: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.fields[picture] = (_Field(1, 0, 0), _Field(1, 0, 0))

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        tensors = [t for a in args for t in (a if isinstance(a, list | tuple) else [a]) if isinstance(t, Tensor)]
        known = [t for t in tensors if t in self.fields]
        if known:
            fields = self._follow(function, args, known, result)
            for output in result if isinstance(result, list | tuple) else [result]:
                if isinstance(output, Tensor):
                    self.fields[output] = fields
        return result

    def _follow(self, function: Any, args: Any, known: list[Tensor], result: Any) -> _Fields | None:
        before = [self.fields[t] for t in known]
        if any(fields is None for fields in before):
            return None
        output = first_tensor(result)
        name = function.overloadpacket.__name__
        windows: list[tuple[int, int]] | None = None
        if name == "convolution":
            if args[6]:  # transposed
                return None
            kernel = args[1].shape[2:]
            windows = [(kernel[0], kernel[-1]), _pair(args[3], 1), _pair(args[4], 0), _pair(args[5], 1)]
        elif name in ("max_pool2d_with_indices", "max_pool2d"):
            kernel, stride, padding, dilation = (*args[1:5], [], [], [])[:4]  # left out where they are the defaults
            windows = [_pair(kernel, 1), _pair(stride or kernel, 1), _pair(padding, 0), _pair(dilation, 1)]
        elif name == "avg_pool2d":
            stride = args[2] if len(args) > 2 and args[2] else args[1]
            padding = args[3] if len(args) > 3 else [0]
            windows = [_pair(args[1], 1), _pair(stride, 1), _pair(padding, 0), (1, 1)]
        if windows is not None:
            (y, x), kernels, strides, paddings, dilations = before[0], *windows
            return (
                y.window(kernels[0], strides[0], paddings[0], dilations[0]),
                x.window(kernels[1], strides[1], paddings[1], dilations[1]),
            )
        if output is None or output.ndim != 4 or known[0].ndim != 4:
            # A vector sees the whole picture; what a map that is cut up into 3 or 5 dimensions sees is not followed.
            return (_WHOLE, _WHOLE) if output is not None and min(output.ndim, known[0].ndim) <= 2 else None
        if name == "slice" and args[1] >= 2:
            start, step = args[2] or 0, args[4] if len(args) > 4 else 1
            axes = list(before[0])
            field = axes[args[1] - 2]
            axes[args[1] - 2] = _Field(
                field.stride * step, field.low + start * field.stride, field.high + start * field.stride
            )
            return (axes[0], axes[1])
        if name == "constant_pad_nd":
            left, top = args[1][0], args[1][2] if len(args[1]) > 2 else 0
            return (
                _Field(
                    before[0][0].stride,
                    *(edge - top * before[0][0].stride for edge in (before[0][0].low, before[0][0].high)),
                ),
                _Field(
                    before[0][1].stride,
                    *(edge - left * before[0][1].stride for edge in (before[0][1].low, before[0][1].high)),
                ),
            )
        if name in _SPREADING:
            return None
        if all(t.ndim == 4 and (t.shape[2:] == output.shape[2:] or t.shape[2:] == (1, 1)) for t in known):
            return _union(before)
        return (_WHOLE, _WHOLE) if output.shape[2:] == (1, 1) else None


@torch.no_grad()
def layers(model: Model, size: tuple[int, int] | None = None) -> list[LayerInfo]:
    """Every module that runs in a forward pass of a picture of `size` (default: the model's own), by its first call.

    Receptive fields follow the recurrence of Araujo et al. 2019 ("Computing Receptive Fields of Convolutional Neural
    Networks", eq. 1-2), applied to the operations that really run.
    """
    height, width = size or model.input_size
    seen: dict[str, list[tuple[Tensor | None, _Fields | None]]] = {}
    handles = []
    try:
        picture = torch.full((1, len(model.mean), height, width), 0.5, device=model.device)
        tracker = _ReceptiveFields(picture)
        for name, part in model.module.named_modules():

            def hook(_part: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                tensor = first_tensor(output)
                fields = tracker.fields.get(tensor) if tensor is not None else None
                seen.setdefault(name, []).append((tensor.detach() if tensor is not None else None, fields))

            handles.append(part.register_forward_hook(hook))
        with frozen(model.module), tracker:
            model.module(model.normalize(picture))
    except FORWARD_ERRORS as error:
        raise ValueError(
            f"{model.spec} cannot process a picture of {height}x{width} pixels ({first_line(error)})"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    types = {name: type(part).__name__ for name, part in model.module.named_modules()}
    stages = _stages(model.module, {name for name, calls in seen.items() if _map_size(calls[0][0])})
    rows = []
    for name, calls in seen.items():
        if not name:
            continue  # the network itself: its output is the objective's business, not a layer
        tensor, fields = calls[0]
        size = _map_size(tensor)
        side = None if fields is None else max(axis.high - axis.low + 1 for axis in fields)
        channels = None if tensor is None or tensor.ndim < 2 else tensor.shape[1]
        rows.append(LayerInfo(name, types[name], len(calls), channels, size, side, name in stages))
    return rows


def _map_size(tensor: Tensor | None) -> tuple[int, int] | None:
    if tensor is None or tensor.ndim != 4 or tensor.shape[2:] == (1, 1):
        return None
    return tensor.shape[2], tensor.shape[3]


def _stages(root: nn.Module, maps: set[str]) -> list[str]:
    """The children of the main sequence that put out maps.

    The main sequence is found by going down from the root for as long as one child alone has all the parameters that
    are used before the maps end: `features` in SqueezeNet and VGG, the root itself in a ResNet.
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
    """Addresses of the stages, in order: what `--layer all` means."""
    return [row.name for row in layers(model, size) if row.stage]
