"""A network as if its path were linear: what expanded weights between two layers are computed through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from inverter.ascent.relu_spellings import function_name
from inverter.directions.gates import gated
from recipes.attribution.backward.function_rules import Call, Rules
from recipes.attribution.backward.functions import differentiable

RECTIFIERS = frozenset(
    ("relu", "relu6", "hardtanh", "leaky_relu", "rrelu", "elu", "selu", "celu", "prelu", "silu", "mish", "gelu")
) | {"hardswish"}
"""Activation functions that are about the identity where a unit is active."""
_POOLS: dict[str, Callable[..., Tensor]] = {
    f"max_pool{n}d": pool for n, pool in enumerate((F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), 1)
}


class Linearised(Rules):
    """A context in which the operations on tensors that require a gradient are replaced by linear ones.

    As for the expanded weights of Cammarata et al. 2021 ("Curve circuits"), what stands in the place of a ReLU becomes
    the identity, and maximum pooling an average; gates of latents and local response normalisation become the identity
    too. Convolutions, batch normalisation with fixed statistics and sums are linear as they are. The forward pass
    changes as well, and its gradient depends on no picture. A nonlinear operation without such a replacement keeps its
    own values and gradient, and its name stands in `without_rule`. The network is not changed.

    Attributes:
        depth: largest number of activation functions on one path so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.depth = self._passed = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        before = max(map(_depth, differentiable(args, kwargs or {})), default=0)
        self._passed = 0
        result = super().__torch_function__(function, types, args, kwargs)
        for each in differentiable((result,), {}):
            each.functions_passed = max(before + self._passed, _depth(each))  # type: ignore[attr-defined]
            self.depth = max(self.depth, _depth(each))
        self._passed = 0
        return result

    def elementwise(self, call: Call) -> Tensor:
        if (name := function_name(call.function).rstrip("_")) not in RECTIFIERS:
            return self._kept(name, call)
        self._passed = 1
        # A view, as the input itself may be read again, with fewer activation functions passed.
        return call.tensors[0] if call.inplace else call.tensors[0].view_as(call.tensors[0])

    def maximum(self, call: Call) -> Tensor:
        name = function_name(call.function)
        if name not in _POOLS:
            return self._kept(name, call)
        return _average(_POOLS[name], call.tensors[0], *call.rest, **call.kwargs)

    def normalisation(self, call: Call) -> Tensor:
        if (name := function_name(call.function)) != "local_response_norm":
            return self._kept(name, call)
        return call.tensors[0]

    def other(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if function is not gated:
            return super().other(function, args, kwargs)
        self._passed = 1
        return args[0].view_as(args[0])

    def _kept(self, name: str, call: Call) -> Tensor:
        self.without_rule[name] = None
        return call.unchanged()


def _average(
    pool: Callable[..., Tensor],
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The average over the windows of a maximum pooling, as if they were not dilated."""
    return pool(x, kernel_size, stride or kernel_size, padding, ceil_mode, count_include_pad=False)


def _depth(tensor: Tensor) -> int:
    return getattr(tensor, "functions_passed", 0)
