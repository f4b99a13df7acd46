"""DeepLIFT: the difference of an output from its reference, propagated back operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from inverter.ascent.relu_spellings import function_name
from inverter_errors import BadInput
from recipes.attribution.backward.function_rules import Call, Rules, is_inplace, replaced, vjp
from recipes.attribution.backward.functions import has_mask, is_linear, kind_of

SMALLEST = 1e-7
"""Inputs that differ by no more than this are equal; their multiplier is the gradient."""
POINTS = 16


def _towards_reference() -> list[tuple[float, float]]:
    """Points and weights of a quadrature of the path from reference to input, dense at the reference.

    With t = u^4, Gauss-Legendre in u. A constant reference, as a black image is, lies where normalisations and
    quotients change fastest.
    """
    points, weights = np.polynomial.legendre.leggauss(POINTS)
    u = (1 + points) / 2
    return list(zip((u**4).tolist(), (2 * weights * u**3).tolist(), strict=True))


MIDPOINT = [(0.5, 1.0)]
"""The quadrature that is exact for products of two."""
PATH = _towards_reference()
Inputs = tuple[Tensor, ...]


class RescaleRule(Rules):
    """A context for two forward passes: of the reference, and, after `start_input`, of the input.

    With the differences dx = x - x' and dy = y - y' between input and reference, an activation function propagates the
    multiplier m dy / dx: the Rescale rule of Shrikumar et al. 2017 (section 3.5.2). A maximum assigns dy to the
    position of the larger value. All other operations that are not linear (products, attention, normalisation, softmax,
    quotients) propagate the mean of their gradient on the straight path from
    the reference to the input, as integrated gradients do for the network: a product assigns half of dy to each factor.
    The sum over the inputs of m dx is always the difference of the output (summation to delta, eq. 1).
    """

    def __init__(self) -> None:
        super().__init__()
        self._reference: list[tuple[str, Inputs, Inputs]] = []
        self._next: int | None = None

    def start_input(self) -> None:
        """From here on calls belong to the input; they come in the same order as those of the reference."""
        self._next = 0

    def _reference_call(self, name: str, inputs: Inputs, outputs: Inputs) -> tuple[Inputs, Inputs]:
        """Inputs and outputs of the same call in the reference pass; in the reference pass itself, its own."""
        if self._next is None:
            self._reference.append((name, tuple(each.clone() for each in inputs), outputs))
            return self._reference[-1][1:]
        self._next += 1
        known, before, after = self._reference[self._next - 1] if self._next <= len(self._reference) else ("", (), ())
        if known != name or [each.shape for each in before] != [each.shape for each in inputs]:
            raise BadInput(
                f"deeplift compares a network with itself on a reference image, but {name} runs for the image alone: "
                "use integrated-gradients for a network whose operations depend on the image"
            )
        return before, after

    def passes(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        return is_linear(name, args, kwargs) and not has_mask(name, args, kwargs)

    def elementwise(self, call: Call) -> Tensor:
        (x,), y = call.inputs, call.output
        (x0,), (y0,) = self._reference_call("elementwise", (x,), (y,))
        moved = (x - x0).abs() > SMALLEST
        if moved.all():  # the usual case; the gradient costs another pass
            slope = (y - y0) / (x - x0)
            return call.with_backward(lambda m: (m * slope,))
        slope = (y - y0) / torch.where(moved, x - x0, 1)
        return call.with_backward(lambda m: (torch.where(moved, m * slope, vjp(call.apply, x, m)),))

    def other(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        kind, name = kind_of(function_name(function)), function_name(function)
        leaves, spec = tree_flatten((tuple(args), dict(kwargs)))
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.requires_grad]
        tensors, inplace = [leaves[i] for i in places], is_inplace(name, kwargs)
        if inplace and places[0] != 0:
            return super().other(function, args, kwargs)
        for i in places:
            leaves[i] = None  # the graph's nodes refer to what follows: a cycle would stay in memory

        def run(*inputs: Tensor) -> Any:
            filled = list(leaves)
            for i, each in zip(places, inputs, strict=True):
                filled[i] = each.clone() if inplace else each
            positional, named = tree_unflatten(filled, spec)
            return function(*positional, **named)

        values = tuple(each.detach().clone() if inplace else each.detach() for each in tensors)
        with torch.enable_grad():
            probe = run(*(each.requires_grad_() for each in map(Tensor.clone, values)))
        outputs, of = tree_flatten(probe)
        ends = [i for i, each in enumerate(outputs) if isinstance(each, Tensor) and each.requires_grad]
        if not ends:
            return probe if not inplace else function(*args, **kwargs)
        for i in ends:
            outputs[i] = outputs[i].detach()

        def apply(*inputs: Tensor) -> Inputs:
            found = tree_flatten(run(*inputs))[0]
            return tuple(found[i] for i in ends)

        ys = tuple(outputs[i] for i in ends)
        before, after = self._reference_call(name, values, tuple(map(Tensor.clone, ys)))
        if is_linear(name, args, kwargs):
            back = _choose(apply, values, before, ys[0] - after[0])
        elif kind in ("maximum", "minimum"):
            back = _assign(apply, values, before, smaller=kind == "minimum")
        else:
            back = _average(apply, values, before, MIDPOINT if kind in ("multiply", "product") else PATH)
        for i, each in zip(ends, replaced([outputs[i] for i in ends], back, inplace, tensors), strict=True):
            outputs[i] = each
        return tree_unflatten(outputs, of)


def _average(
    apply: Callable[..., Inputs], values: Inputs, before: Inputs, points: Sequence[tuple[float, float]]
) -> Callable[..., Inputs]:
    """The mean of the vector-Jacobian product over the straight path from the reference to the input."""

    def back(*multipliers: Tensor) -> Inputs:
        total = [torch.zeros_like(each) for each in values]
        for part, weight in points:
            here = tuple(torch.lerp(x0, x, part) for x0, x in zip(before, values, strict=True))
            for sum_, found in zip(total, _vjp(apply, here, multipliers), strict=True):
                sum_ += weight * found
        return tuple(total)

    return back


def _assign(apply: Callable[..., Inputs], values: Inputs, before: Inputs, smaller: bool) -> Callable[..., Inputs]:
    """The difference of a maximum goes to the position of the larger value, in the input or in the reference.

    The gradient of a maximum at x selects the position of the largest value of x.
    """

    def back(*multipliers: Tensor) -> Inputs:
        with torch.no_grad():
            after, reference = apply(*values), apply(*before)
        given = [m * (y - y0) for m, y, y0 in zip(multipliers, after, reference, strict=True)]
        own = [y < y0 if smaller else y > y0 for y, y0 in zip(after, reference, strict=True)]
        here = _vjp(apply, values, [torch.where(o, g, 0) for o, g in zip(own, given, strict=True)])
        there = _vjp(apply, before, [torch.where(o, 0, g) for o, g in zip(own, given, strict=True)])
        plain = _vjp(apply, values, multipliers)
        found = []
        for x, x0, a, b, gradient in zip(values, before, here, there, plain, strict=True):
            moved = (x - x0).abs() > SMALLEST
            found.append(torch.where(moved, (a + b) / torch.where(moved, x - x0, 1), gradient))
        return tuple(found)

    return back


def _choose(apply: Callable[..., Inputs], values: Inputs, before: Inputs, difference: Tensor) -> Callable[..., Inputs]:
    """The slopes of an elementwise choice; what the change of its mask adds is shared by the inputs that differ."""

    def back(multiplier: Tensor) -> Inputs:
        here = tuple(torch.lerp(x0, x, 0.5) for x0, x in zip(before, values, strict=True))
        slopes = _vjp(apply, here, [torch.ones_like(multiplier)])
        steps = [x - x0 for x, x0 in zip(values, before, strict=True)]
        if any(each.shape != multiplier.shape for each in values):
            return _vjp(apply, here, [multiplier])
        moved = [step.abs() > SMALLEST for step in steps]
        rest = difference - sum(slope * step for slope, step in zip(slopes, steps, strict=True))
        rest = rest / torch.stack(moved).sum(0).clamp_min(1)
        return tuple(
            multiplier * torch.where(able, slope + rest / torch.where(able, step, 1), slope)
            for slope, step, able in zip(slopes, steps, moved, strict=True)
        )

    return back


def _vjp(apply: Callable[..., Inputs], inputs: Sequence[Tensor], multipliers: Sequence[Tensor]) -> Inputs:
    """The gradients of the outputs, weighted by their multipliers, with respect to each input."""
    with torch.enable_grad():
        leaves = [each.detach().clone().requires_grad_() for each in inputs]
        outputs = apply(*leaves)
        return torch.autograd.grad(outputs, leaves, multipliers, allow_unused=True, materialize_grads=True)
