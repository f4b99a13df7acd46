"""Receptive fields: the window of the picture that a unit depends on, traced through the actual operations.

The recurrence is that of Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks", eq. 1-2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from inverter.capture import first_tensor, frozen, split_address
from inverter.models import FORWARD_ERRORS, Model, first_line
from inverter.torchscript import script_of
from inverter_errors import BadInput, InverterError


@dataclass(frozen=True)
class Axis:
    """A receptive field along one axis: that of unit i reaches from pixel i * stride + low to i * stride + high.

    Both ends are included; pixels below 0 are padding. If a unit depends on the full picture, all three are infinite.

    Attributes:
        stride: pixels between the fields of neighbouring units.
        low: first pixel of unit 0.
        high: last pixel of unit 0.
    """

    stride: float
    low: float
    high: float

    @property
    def size(self) -> float:
        """Pixels in the receptive field of one unit."""
        return self.high - self.low + 1

    @property
    def centre(self) -> float:
        """The centre of the field of unit 0, in pixels from the picture's edge: pixel 0 reaches from 0 to 1."""
        return (self.low + self.high + 1) / 2

    def window(self, unit: int, side: int) -> tuple[int, int]:
        """The receptive field of a unit, cut off at the picture's edges.

        Args:
            unit: index of the unit.
            side: of the picture in pixels.

        Returns:
            (first pixel, one past the last).
        """
        if self.stride == math.inf:
            return 0, side
        first, last = int(unit * self.stride + self.low), int(unit * self.stride + self.high)
        return min(max(first, 0), side), min(max(last + 1, 0), side)

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
        """The receptive field after a convolution or pooling, as in Araujo et al. 2019, eq. 1-2."""
        if self.stride == math.inf:  # the full picture stays the full picture
            return self
        reach = (kernel - 1) * dilation - padding
        return Axis(self.stride * stride, self.low - padding * self.stride, self.high + reach * self.stride)

    def shifted(self, units: int, step: int = 1) -> Axis:
        """The receptive field after a slice of the map that starts at `units` and takes every `step`-th unit."""
        if self.stride == math.inf:
            return self
        start = units * self.stride
        return Axis(self.stride * step, self.low + start, self.high + start)


class ReceptiveField(NamedTuple):
    """The receptive field of the units of a layer, along both axes.

    Attributes:
        y: along the height.
        x: along the width.

    Example:
        >>> field = ReceptiveField(Axis(2, -3, 3), Axis(2, -3, 3))  # after a 7x7 convolution, stride 2, padding 3
        >>> field.window(0, 5, (224, 224))
        (0, 7, 4, 14)
    """

    y: Axis
    x: Axis

    @property
    def size(self) -> float:
        """The longer side in pixels; `inf` if a unit depends on the full picture."""
        return math.inf if _FULL in self else max(self.y.size, self.x.size)

    def window(self, y: int, x: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The receptive field of the unit at (y, x), cut off at the picture's edges.

        Near the edges it may have a few pixels too many: the network pads its inner maps as well.

        Args:
            y: row of the unit.
            x: column of the unit.
            size: (height, width) of the picture in pixels.

        Returns:
            (top, left, bottom, right) in pixels; bottom and right are excluded.
        """
        (top, bottom), (left, right) = self.y.window(y, size[0]), self.x.window(x, size[1])
        return top, left, bottom, right


_FULL = Axis(math.inf, -math.inf, math.inf)
_EVERYTHING = ReceptiveField(_FULL, _FULL)
_SPREADING = {"native_group_norm", "native_layer_norm", "roll", "flip", "_softmax", "cumsum", "sort"}
"""Operations that keep a map's size but mix positions: receptive fields are not traced through them."""


def _union(found: Iterable[ReceptiveField]) -> ReceptiveField | None:
    """The receptive field of a sum or a concatenation of branches; None (unknown) if their strides differ."""
    axes = []
    for fields in zip(*found, strict=True):
        if _FULL in fields:
            axes.append(_FULL)
        elif len({field.stride for field in fields}) > 1:
            return None
        else:
            axes.append(Axis(fields[0].stride, min(f.low for f in fields), max(f.high for f in fields)))
    return ReceptiveField(axes[0], axes[1]) if axes else None


def _pair(value: Any, default: int) -> tuple[int, int]:
    numbers = list(value) or [default]
    return numbers[0], numbers[-1]


class _Tracker(TorchDispatchMode):
    """Traces receptive fields through every tensor operation, so any Python forward() is covered, not only graphs."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.fields: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.fields[picture] = ReceptiveField(Axis(1, 0, 0), Axis(1, 0, 0))

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        tensors = [t for a in args for t in (a if isinstance(a, list | tuple) else [a]) if isinstance(t, Tensor)]
        known = [t for t in tensors if t in self.fields]
        if known:
            fields = self._follow(function.overloadpacket.__name__, args, known, first_tensor(result))
            for output in result if isinstance(result, list | tuple) else [result]:
                if isinstance(output, Tensor):
                    self.fields[output] = fields
        return result

    def _follow(self, name: str, args: Any, known: list[Tensor], output: Tensor | None) -> ReceptiveField | None:
        before = [self.fields[t] for t in known]
        if output is None or any(fields is None for fields in before):
            return None
        y, x = before[0]
        if name == "convolution" and args[6]:  # transposed
            return None
        if (windows := _sliding(name, args)) is not None:
            of_y, of_x = zip(*windows, strict=True)
            return ReceptiveField(y.through(*of_y), x.through(*of_x))
        if output.ndim != 4 or known[0].ndim != 4:
            # A vector depends on the full picture; maps that are reshaped to 3 or 5 dimensions are not traced.
            return _EVERYTHING if min(output.ndim, known[0].ndim) <= 2 else None
        if name == "slice" and args[1] >= 2:
            start, step = args[2] or 0, args[4] if len(args) > 4 else 1
            start = start + known[0].shape[args[1]] if start < 0 else start
            return (
                ReceptiveField(y.shifted(start, step), x) if args[1] == 2 else ReceptiveField(y, x.shifted(start, step))
            )
        if name == "constant_pad_nd":
            left, top = args[1][0], args[1][2] if len(args[1]) > 2 else 0
            return ReceptiveField(y.shifted(-top), x.shifted(-left))
        if name in _SPREADING:
            return None
        if all(t.ndim == 4 and (t.shape[2:] == output.shape[2:] or t.shape[2:] == (1, 1)) for t in known):
            return _union(before)
        return _EVERYTHING if output.shape[2:] == (1, 1) else None


def _sliding(name: str, args: Any) -> list[tuple[int, int]] | None:
    """Kernel, stride, padding and dilation, each along (y, x), of a convolution or pooling; None for all others."""
    if name == "convolution":
        kernel = args[1].shape[2:]
        return [(kernel[0], kernel[-1]), _pair(args[3], 1), _pair(args[4], 0), _pair(args[5], 1)]
    if name in ("max_pool2d_with_indices", "max_pool2d"):
        kernel, stride, padding, dilation = (*args[1:5], [], [], [])[:4]  # defaults are left out of args
        return [_pair(kernel, 1), _pair(stride or kernel, 1), _pair(padding, 0), _pair(dilation, 1)]
    if name == "avg_pool2d":
        stride = args[2] if len(args) > 2 and args[2] else args[1]
        padding = args[3] if len(args) > 3 else [0]
        return [_pair(args[1], 1), _pair(stride, 1), _pair(padding, 0), (1, 1)]
    return None


Calls = dict[str, list[tuple[Tensor | None, ReceptiveField | None]]]
"""Name of a module -> the output of each of its calls and its receptive field (None: unknown)."""


@torch.no_grad()
def follow(model: Model, size: tuple[int, int]) -> Calls:
    """Traces a forward pass of one picture.

    Args:
        model: the network.
        size: (height, width) of the picture in pixels.

    Returns:
        Outputs and receptive fields of all modules that run, in the order of their first calls.

    Raises:
        BadInput: if the network cannot process such a picture.
    """
    height, width = size
    seen: Calls = {}
    handles = []
    try:
        picture = torch.full((1, len(model.mean), height, width), 0.5, device=model.device)
        tracker = _Tracker(picture)
        for name, part in model.module.named_modules():

            def hook(_part: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                tensor = first_tensor(output)
                fields = tracker.fields.get(tensor) if tensor is not None else None
                seen.setdefault(name, []).append((tensor.detach() if tensor is not None else None, fields))

            handles.append(part.register_forward_hook(hook))
        with frozen(model.module), nullcontext() if script_of(model.module) else tracker:
            model.module(model.normalize(picture))
    except InverterError:
        raise
    except FORWARD_ERRORS as error:
        raise BadInput(
            f"{model.spec} cannot process a picture of {height}x{width} pixels ({first_line(error)}); "
            f"its own size is {model.own_size}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
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
        Address -> receptive field; None where it is unknown or the layer does not run.

    Raises:
        LayerNotFound: for an address that names no layer.
        BadInput: if the network cannot process such a picture.

    Example:
        >>> from inverter import load_model
        >>> model = load_model(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2)), input_size=32)
        >>> receptive_fields(model, ["1"])["1"].window(0, 4, (32, 32))
        (0, 7, 3, 11)
    """
    for layer in layers:
        model.check_layer(layer)
    seen = follow(model, model.size_for(size))
    found = {}
    for layer in layers:
        name, call = split_address(layer)
        calls = seen.get(name, [])
        found[layer] = calls[call][1] if call < len(calls) else None
    return found
