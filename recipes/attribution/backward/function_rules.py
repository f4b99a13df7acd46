"""Rules that replace the gradient of an operation, whether it is written as a module or as a function.

A multiplier m is propagated in place of the gradient: the relevance of an activation a is a · m, as with
gradient × input. An operation without a rule propagates m as it would its gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from inverter.ascent.relu_spellings import SpelledReLU, function_name, spelled_relu
from inverter.capture.attention_functions import opened
from recipes.attribution.backward.functions import differentiable, is_linear, kind_of

Back = Callable[[Tensor], tuple[Tensor | None, ...]]
"""The output's multiplier -> that of each input."""


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


class _ReplacedAll(torch.autograd.Function):
    """Several outputs that are already computed from their inputs, with `back` as their backward pass."""

    @staticmethod
    def forward(ctx: Any, outputs: list[Tensor], back: Callable[..., tuple[Tensor, ...]], *_inputs: Tensor) -> Any:
        ctx.back = back
        return tuple(each.clone() for each in outputs)

    @staticmethod
    def backward(ctx: Any, *multipliers: Any) -> Any:
        return None, None, *ctx.back(*multipliers)


def replaced(
    outputs: Sequence[Tensor], back: Callable[..., tuple[Tensor, ...]], inplace: bool, inputs: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Outputs that are already computed from their inputs, with another backward pass.

    Args:
        outputs: detached values; one for an in-place function.
        back: the multiplier of each output -> that of each input.
        inplace: whether the first input is overwritten with the output.
        inputs: the tensors that require a gradient.
    """
    if inplace:
        return (_Replaced.apply(outputs[0], back, True, *inputs),)
    return _ReplacedAll.apply(list(outputs), back, *inputs)


def is_inplace(name: str, kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of this function writes its result into its first argument."""
    written = name.startswith("__i") or (not name.startswith("__") and name.endswith("_"))
    return written or bool(kwargs.get("inplace"))


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
        self.inplace = is_inplace(function_name(function), kwargs)
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
    Every spelling of a ReLU is elementwise.

    Attributes:
        without_rule: names of nonlinear functions that have run without a rule.
    """

    inputs: Mapping[str, int] = {"add": 2, "multiply": 2, "quotient": 2, "product": 2, "attention": 3}
    """Kind -> number of tensor arguments that its rule handles; 1 for all others."""

    def __init__(self) -> None:
        super().__init__()
        self.without_rule: dict[str, None] = {}

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = dict(kwargs or {}), function_name(function)
        if not differentiable(args, kwargs):
            return function(*args, **kwargs)
        if (inside := opened(function)) is not function:
            with self:
                return inside(*args, **kwargs)
        if (spelled := spelled_relu(function, args, kwargs)) is not None:
            result = self._relu(spelled)
            return None if name == "__setitem__" else result
        kind = kind_of(name)
        rule = getattr(self, kind, None) if kind else None
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        count = self.inputs.get(kind, 1)
        inputs = args[:count]
        known = len(inputs) == count and all(isinstance(each, Tensor) for each in inputs)
        known &= len(differentiable(args, kwargs)) == len(differentiable(inputs, {}))
        if rule is not None and known:
            return rule(Call(function, count, args, kwargs))
        if self.passes(name, args, kwargs):
            return function(*args, **kwargs)
        return self.other(function, args, kwargs)

    def passes(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether a call without a rule is one whose gradient is right."""
        return is_linear(name, args, kwargs)

    def _relu(self, spelled: SpelledReLU) -> Any:
        x, ceiling, inplace = spelled
        rule = getattr(self, "elementwise")  # noqa: B009
        if ceiling == math.inf:
            return rule(Call(F.relu, 1, (x,), {"inplace": inplace}))
        return rule(Call(F.hardtanh, 1, (x, 0.0, ceiling), {"inplace": inplace}))

    def other(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A call of a nonlinear function without a rule: its gradient, and its name in `without_rule`."""
        result = function(*args, **kwargs)
        if differentiable((result,), {}):
            self.without_rule[function_name(function).strip("_")] = None
        return result
