"""Rules that replace the gradient of an operation, whether it is written as a module or as a function.

A multiplier m is propagated in place of the gradient: the relevance of an activation a is a · m, as with
gradient × input. An operation without a rule propagates m as it would its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Back = Callable[[Tensor], tuple[Tensor | None, ...]]
"""The output's multiplier -> that of each input."""

KINDS: dict[str, str] = {
    **dict.fromkeys(("relu", "relu6", "hardtanh", "leaky_relu", "elu", "selu", "celu"), "elementwise"),
    **dict.fromkeys(("silu", "mish", "gelu", "hardswish", "softplus"), "elementwise"),
    **dict.fromkeys(("sigmoid", "hardsigmoid", "tanh"), "elementwise"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "linear"), "weighted"),
    **dict.fromkeys(("avg_pool2d", "adaptive_avg_pool2d", "mean"), "mean"),
    **dict.fromkeys(("add", "__add__", "__radd__", "__iadd__"), "add"),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "__imul__"), "multiply"),
    "batch_norm": "batch_norm",
    "max_pool2d": "max_pool2d",
}
"""Name of a function, without the `_` of its in-place form -> the kind of rule that handles it."""


class _Replaced(torch.autograd.Function):
    """An output that is already computed from its inputs, with `back` as its backward pass."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, back: Back, inplace: bool, *inputs: Tensor) -> Tensor:
        ctx.back = back
        if not inplace:
            return output.clone()  # a later in-place operation may overwrite it while the rule still reads the output
        ctx.mark_dirty(inputs[0])
        return inputs[0].copy_(output)

    @staticmethod
    def backward(ctx: Any, *multipliers: Any) -> Any:
        return None, None, None, *ctx.back(multipliers[0])


class Call:
    """One call of a function that is handled by a rule.

    Attributes:
        tensors: the tensor arguments that the rule handles.
        inputs: their detached values; copies for an in-place function, so read them before it runs.
        rest: the other positional arguments.
        kwargs: the keyword arguments.
        output: the function's output, detached.
    """

    def __init__(self, function: Callable[..., Tensor], count: int, args: Sequence[Any], kwargs: Mapping[str, Any]):
        name = function.__name__
        self.inplace = name.startswith("__i") or (not name.startswith("__") and name.endswith("_"))
        self.inplace |= bool(kwargs.get("inplace"))
        self.function, self.rest, self.kwargs = function, tuple(args[count:]), kwargs
        self.tensors: tuple[Tensor, ...] = tuple(args[:count])

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(each.detach().clone() if self.inplace else each.detach() for each in self.tensors)

    def apply(self, *inputs: Tensor) -> Tensor:
        """The function applied to other inputs, which are not modified."""
        inputs = tuple(each.clone() if self.inplace else each for each in inputs)
        return self.function(*inputs, *self.rest, **self.kwargs)

    @cached_property
    def output(self) -> Tensor:
        with torch.no_grad():
            return self.apply(*self.inputs)

    def unchanged(self) -> Tensor:
        """The output with its own gradient."""
        return self.function(*self.tensors, *self.rest, **self.kwargs)

    def with_gradient(self, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The output z; its multiplier m becomes `change(m, z)` and is then propagated like a gradient."""
        output = self.unchanged()
        z = output.detach()
        return _Replaced.apply(z, lambda multiplier: (change(multiplier, z),), False, output)

    def with_backward(self, back: Back, output: Tensor | None = None) -> Tensor:
        """The output, with `back` as its backward pass.

        The tensors are released: of an in-place call they are the output as well, which would refer to itself.

        Args:
            back: the output's multiplier -> the multiplier of each input.
            output: an output of a later operation, if `back` covers it too.
        """
        output, tensors, _ = self.output if output is None else output, self.tensors, self.inputs
        self.tensors = ()
        return _Replaced.apply(output, back, self.inplace, *tensors)


def vjp(function: Callable[[Tensor], Tensor], x: Tensor, multiplier: Tensor) -> Tensor:
    """Vector-Jacobian product: the gradient of f at x, weighted by m; f^T m for a linear f."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(function(x), x, multiplier)[0]


class Rules(TorchFunctionMode):
    """A context in which functions with a rule use it as their backward pass; the network is not modified.

    A rule is a method with the name of a value of `KINDS`; it takes a `Call` and returns its `with_backward(...)`.
    """

    inputs: Mapping[str, int] = {"add": 2, "multiply": 2}
    """Kind -> number of tensor arguments that its rule handles; 1 for all others."""

    def applies_to(self, inputs: Sequence[Any]) -> bool:
        """True for inputs that the rules handle; everything else is computed without a rule."""
        return any(each.requires_grad for each in inputs)

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(function, "__name__", "")
        kind = KINDS.get(name) or KINDS.get(name.rstrip("_")) if name else None
        rule = getattr(self, kind, None) if kind else None
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        count = self.inputs.get(kind or "", 1)
        inputs = args[:count]
        known = len(inputs) == count and all(isinstance(each, Tensor) for each in inputs)
        if rule is None or not known or not self.applies_to(inputs):
            return function(*args, **kwargs)
        return rule(Call(function, count, args, kwargs))
