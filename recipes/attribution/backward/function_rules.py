"""Other rules for what goes back through an operation of a network, written as a module or as a function.

What goes back is a multiplier m in the place of the gradient: an activation's share of the score is a · m, as it is
with gradient × input. An operation without a rule passes m on as it would its gradient.
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
"""Name of a function, without the `_` of one that works in place -> what it is to a rule."""


class _Replaced(torch.autograd.Function):
    """A known output of these inputs, whose multiplier goes back as `back` says."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, back: Back, inplace: bool, *inputs: Tensor) -> Tensor:
        ctx.back = back
        if not inplace:
            return output.clone()  # what comes next may write into it, while the rule still reads the output
        ctx.mark_dirty(inputs[0])
        return inputs[0].copy_(output)

    @staticmethod
    def backward(ctx: Any, *multipliers: Any) -> Any:
        return None, None, None, *ctx.back(multipliers[0])


class Call:
    """One call of a function that a rule replaces.

    Attributes:
        given: the tensors that the rule is about; inputs: their values, of what works in place copies (ask for them
            before the function runs).
        rest, kwargs: the other arguments.
        output: what the function makes of them, detached.
    """

    def __init__(self, function: Callable[..., Tensor], count: int, args: Sequence[Any], kwargs: Mapping[str, Any]):
        name = function.__name__
        self.inplace = name.startswith("__i") or (not name.startswith("__") and name.endswith("_"))
        self.inplace |= bool(kwargs.get("inplace"))
        self.function, self.rest, self.kwargs = function, tuple(args[count:]), kwargs
        self.given: tuple[Tensor, ...] = tuple(args[:count])

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(each.detach().clone() if self.inplace else each.detach() for each in self.given)

    def of(self, *inputs: Tensor) -> Tensor:
        """The function of other inputs, which stay as they are."""
        inputs = tuple(each.clone() if self.inplace else each for each in inputs)
        return self.function(*inputs, *self.rest, **self.kwargs)

    @cached_property
    def output(self) -> Tensor:
        with torch.no_grad():
            return self.of(*self.inputs)

    def usual(self) -> Tensor:
        """The output, with its gradient as it is."""
        return self.function(*self.given, *self.rest, **self.kwargs)

    def with_gradient(self, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The output z, whose multiplier m goes on as `change(m, z)`, as a gradient would."""
        output = self.usual()
        z = output.detach()
        return _Replaced.apply(z, lambda multiplier: (change(multiplier, z),), False, output)

    def replaced(self, back: Back, output: Tensor | None = None) -> Tensor:
        """The output, or another one that is made of these inputs, from which `back` leads to them.

        What is given is let go: of a call in place it is the output too, which through `back` would hold itself.
        """
        output, given, _ = self.output if output is None else output, self.given, self.inputs
        self.given = ()
        return _Replaced.apply(output, back, self.inplace, *given)


def vjp(function: Callable[[Tensor], Tensor], x: Tensor, multiplier: Tensor) -> Tensor:
    """m -> f^T m of a linear function of x; of any other, its gradient there."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(function(x), x, multiplier)[0]


class Rules(TorchFunctionMode):
    """A context in which the functions of a network that a rule is for go back by it; the network is not changed.

    A rule is a method named as in `KINDS`' values, that takes a `Call` and returns its `replaced(...)` output.
    """

    inputs: Mapping[str, int] = {"add": 2, "multiply": 2}
    """How many tensors a rule of a kind is about; 1 for all others."""

    def concerns(self, inputs: Sequence[Any]) -> bool:
        """True for inputs that the rules are for; all else is computed as usual."""
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
        if rule is None or not known or not self.concerns(inputs):
            return function(*args, **kwargs)
        return rule(Call(function, count, args, kwargs))
