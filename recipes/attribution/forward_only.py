"""Cheaper forward passes of a frozen network, for as long as a context lasts and without touching the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

Scaling = tuple[Tensor, Tensor]
"""What a batch normalisation with fixed statistics does to each channel: factor and offset, (K,)."""
OTHER = 0
"""Stands for all that reads a tensor and is no such normalisation."""
FORM = {Tensor.dim, Tensor.size, *(getattr(Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "device"))}
"""What asks for a tensor's form alone."""


class ForwardOnly(TorchFunctionMode):
    """A context for the forward passes of a frozen network that is asked the same again and again.

    Batch normalisations are folded into the convolutions before them, and weights are cast to autocast's precision
    once. The first pass, from an entry of the context to its exit, is only watched: a normalisation is folded if
    nothing else reads what the convolution puts out. Later passes are taken to go the same way. The values are the
    same up to rounding; modules and functional calls are covered alike; the network itself is not changed.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval().requires_grad_(False)
        >>> x, fast = torch.rand(2, 3, 8, 8), ForwardOnly()
        >>> with fast:
        ...     y = net(x)
        >>> with fast:
        ...     torch.allclose(net(x), y, atol=1e-6)
        True
    """

    def __init__(self) -> None:
        super().__init__()
        self._watching = True
        self._readers = WeakIdKeyDictionary()  # what a convolution put out -> ids of the statistics that scaled it
        self._outputs: dict[int, list[list[int]]] = {}  # id of a weight -> the readers of each of its outputs
        self._scalings: dict[int, Scaling] = {}
        self._ready: dict[tuple[int, torch.dtype], tuple[Tensor, Tensor | None]] = {}

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._watching = False

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._watching:
            return self._watch(function, args, kwargs)
        if function is F.conv2d and not kwargs:
            return self._convolution(*args)
        if function is F.batch_norm and args and args[0] in self._readers:
            return args[0]
        return function(*args, **kwargs)

    def _watch(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        reader = self._statistics(*args, **kwargs) if function is F.batch_norm else OTHER
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor) and tensor in self._readers and function not in FORM:
                self._readers[tensor].append(reader)
        out = function(*args, **kwargs)
        if function is F.conv2d and not kwargs:
            self._readers[out] = readers = list[int]()
            self._outputs.setdefault(id(args[1]), []).append(readers)
        return out

    def _statistics(
        self,
        x: Tensor,
        mean: Tensor | None,
        variance: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> int:
        if training or mean is None or variance is None:
            return OTHER
        factor = (variance + eps).rsqrt() * (1 if weight is None else weight)
        self._scalings[id(variance)] = factor, (0 if bias is None else bias) - mean * factor
        return id(variance)

    def _convolution(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, *how: Any) -> Tensor:
        if not isinstance(weight, nn.Parameter):  # made anew in every pass
            return F.conv2d(x, weight, bias, *how)
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        statistics = self._folded(weight)
        key = id(weight), dtype
        if key not in self._ready:
            self._ready[key] = _prepared(weight, bias, self._scalings.get(statistics), dtype)
        out = F.conv2d(x, *self._ready[key], *how)
        if statistics != OTHER:
            self._readers[out] = []
        return out

    def _folded(self, weight: Tensor) -> int:
        """The statistics that alone have read each output of a weight, or OTHER."""
        readers = self._outputs.get(id(weight), [])
        found = {statistics for output in readers for statistics in output}
        return found.pop() if len(found) == 1 and all(len(output) == 1 for output in readers) else OTHER


def _prepared(
    weight: Tensor, bias: Tensor | None, scaling: Scaling | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """A convolution's weight and bias with a normalisation behind it folded in, cast."""
    if scaling is not None:
        factor, offset = scaling
        weight = weight * factor[:, None, None, None]
        bias = offset if bias is None else bias * factor + offset
    return weight.to(dtype), None if bias is None else bias.to(dtype)
