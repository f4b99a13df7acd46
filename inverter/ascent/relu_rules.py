"""Alternative gradients of ReLUs, inside a context and without changing the network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from inverter.ascent.relu_spellings import function_name, spelled_relu


class _Redirected(torch.autograd.Function):
    """clamp(x, 0, ceiling), whose gradient is passed on for stuck images for which all of it would be blocked."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ceiling: float, inplace: bool, stuck: Tensor) -> Tensor:
        # Where reading the mask is free, only the stuck images are examined: they are few. Elsewhere it masks all.
        rows = stuck.nonzero().flatten() if x.device.type == "cpu" else slice(None)
        below, above = x[rows] < 0, x[rows] > ceiling
        if inplace:
            ctx.mark_dirty(x)
        y = x.clamp_(0, ceiling) if inplace else x.clamp(0, ceiling)
        # A mask and not y, which a later operation may overwrite.
        ctx.save_for_backward((y > 0) & (y < ceiling), stuck[rows], below, above)
        ctx.rows = rows
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        active, stuck, below, above = ctx.saved_tensors
        usual, rows = torch.where(active, gradient, 0), ctx.rows
        few = gradient[rows]
        # Descent moves x against the gradient: a positive one pushes x down, which is useless where x is below 0.
        useless = (below & (few > 0)) | (above & (few < 0))
        lost = (stuck & ~usual[rows].flatten(1).any(1)).view(-1, *[1] * (gradient.ndim - 1))
        usual[rows] = torch.where(lost, few.masked_fill(useless, 0), usual[rows])
        return usual, None, None, None


_RELUS: dict[Callable[..., Any], tuple[float, bool]] = {
    F.relu: (math.inf, False),
    torch.relu: (math.inf, False),
    Tensor.relu: (math.inf, False),
    torch.relu_: (math.inf, True),
    Tensor.relu_: (math.inf, True),
    F.relu6: (6.0, False),
}
"""What is written as a ReLU: its ceiling, and whether it works in place."""

_SMOOTH = {"leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "softplus", "tanh"}
"""Activation functions in the place of a ReLU."""


class ReLURule(TorchFunctionMode, ABC):
    """A context in which what is written as ReLU (or ReLU6) is computed by `relu`, whose gradient may differ.

    Modules and functional calls are covered alike; the network itself is not changed.
    """

    @abstractmethod
    def relu(self, x: Tensor, ceiling: float, inplace: bool) -> Tensor:
        """clamp(x, 0, ceiling), with a gradient of its own.

        Args:
            x: the input, of any shape.
            ceiling: 6 for a ReLU6, `inf` for a ReLU.
            inplace: whether to overwrite x.

        Returns:
            A tensor of the shape of x.
        """

    def suits(self, x: Tensor) -> bool:
        """True for inputs that the rule applies to; all others are computed as usual."""
        return x.requires_grad

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        rule = _RELUS.get(function)
        x = args[0] if args else kwargs.get("input")
        if function is F.hardtanh:
            bounds = dict(zip(("min_val", "max_val", "inplace"), args[1:], strict=False)) | kwargs
            if bounds.get("min_val") == 0:
                rule = (float(bounds.get("max_val", 1.0)), bool(bounds.get("inplace", False)))
        if rule is None or not isinstance(x, Tensor) or not self.suits(x):
            return function(*args, **kwargs)
        inplace = rule[1] or bool(kwargs.get("inplace", args[1] if len(args) == 2 else False))
        return self.relu(x, rule[0], inplace)


class EveryReLU(ReLURule):
    """A rule for every spelling of a ReLU (`spelled_relu`), also as a clamp, a maximum or a product with a mask.

    At exactly 0, where spellings have different gradients, it is that of a ReLU. Inside of `torch.jit` modules no
    operation can be seen.

    Attributes:
        found: number of ReLUs that the rule has computed so far.
        others: names of the activation functions that have kept their gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found = 0
        self.others: dict[str, None] = {}

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        spelled = spelled_relu(function, args, kwargs)
        if spelled is None or not self.suits(spelled.x):
            if (name := function_name(function).rstrip("_")) in _SMOOTH:
                self.others[name] = None
            return function(*args, **kwargs)
        self.found += 1
        result = self.relu(spelled.x, spelled.ceiling, spelled.inplace)
        return None if function_name(function) == "__setitem__" else result


class RedirectedReLU(EveryReLU):
    """A context in which a picture that does not activate its unit still gets a gradient (Lucid's redirected ReLU).

    A unit that is 0 everywhere on the start picture has no gradient at all, and its picture would stay grey. Here, for
    a stuck image, a gradient that a ReLU (or ReLU6) would block completely is passed on where it pushes the input back
    into the range where the unit responds. All other images keep their gradients exactly.

    Args:
        stuck: (B,) bool, on the device of the images: True for those without a gradient.
    """

    def __init__(self, stuck: Tensor) -> None:
        super().__init__()
        self.stuck = stuck

    def suits(self, x: Tensor) -> bool:
        return x.requires_grad and x.ndim >= 2 and len(x) == len(self.stuck)

    def relu(self, x: Tensor, ceiling: float, inplace: bool) -> Tensor:
        return _Redirected.apply(x, ceiling, inplace, self.stuck)


class _Rectified(torch.autograd.Function):
    """clamp(x, 0, ceiling), whose gradient is itself rectified."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ceiling: float, inplace: bool, guided: bool) -> Tensor:
        if inplace:
            ctx.mark_dirty(x)
        y = x.clamp_(0, ceiling) if inplace else x.clamp(0, ceiling)
        ctx.save_for_backward((y > 0) & (y < ceiling) if guided else None)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,), (active,) = gradients, ctx.saved_tensors
        gradient = gradient.relu()
        if active is not None:
            gradient = torch.where(active, gradient, 0)
        return gradient, None, None, None


class DeconvReLU(EveryReLU):
    """Passes positive gradients only, whatever the ReLU's input was (deconvnet, Zeiler & Fergus 2014)."""

    def relu(self, x: Tensor, ceiling: float, inplace: bool) -> Tensor:
        return _Rectified.apply(x, ceiling, inplace, False)


class GuidedReLU(EveryReLU):
    """Passes positive gradients only, where the ReLU was active (guided backpropagation, Springenberg et al. 2015)."""

    def relu(self, x: Tensor, ceiling: float, inplace: bool) -> Tensor:
        return _Rectified.apply(x, ceiling, inplace, True)
