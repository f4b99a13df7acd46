"""DeepLIFT: the difference of an output from its reference, propagated back operation by operation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from recipes.attribution.backward.function_rules import Call, Rules, vjp

SMALLEST = 1e-7
"""Inputs that differ by no more than this are equal; their multiplier is the gradient."""


class RescaleRule(Rules):
    """A context for two forward passes: of the reference, and, after `start_input`, of the input.

    With the differences dx = x - x' and dy = y - y' between input and reference, an activation function propagates the
    multiplier m dy / dx: the Rescale rule of Shrikumar et al. 2017 (section 3.5.2). A maximum assigns dy to the
    position of the larger value, a product half of it to each factor. The sum over the inputs of m dx is always the
    difference of the output (summation to delta, eq. 1).
    """

    def __init__(self) -> None:
        super().__init__()
        self._reference: list[tuple[tuple[Tensor, ...], Tensor]] = []
        self._next: int | None = None

    def start_input(self) -> None:
        """From here on calls belong to the input; they come in the same order as those of the reference."""
        self._next = 0

    def applies_to(self, inputs: Sequence[Tensor]) -> bool:
        return True

    def _reference_call(self, call: Call) -> tuple[tuple[Tensor, ...], Tensor]:
        """Inputs and output of the same call in the reference pass; in the reference pass itself, its own."""
        if self._next is None:
            self._reference.append((tuple(each.clone() for each in call.inputs), call.output))
            return self._reference[-1]
        self._next += 1
        return self._reference[self._next - 1]

    def elementwise(self, call: Call) -> Tensor:
        (x,), y = call.inputs, call.output
        (x0,), y0 = self._reference_call(call)
        moved = (x - x0).abs() > SMALLEST
        if moved.all():  # the usual case; the gradient costs another pass
            slope = (y - y0) / (x - x0)
            return call.with_backward(lambda m: (m * slope,))
        slope = (y - y0) / torch.where(moved, x - x0, 1)
        return call.with_backward(lambda m: (torch.where(moved, m * slope, vjp(call.apply, x, m)),))

    def max_pool2d(self, call: Call) -> Tensor:
        (x,), y = call.inputs, call.output
        (x0,), y0 = self._reference_call(call)

        def back(m: Tensor) -> tuple[Tensor]:
            options = dict(call.kwargs, return_indices=True)
            at, at0 = (F.max_pool2d(each, *call.rest, **options)[1].flatten(2) for each in (x, x0))
            given = (m * (y - y0)).flatten(2)
            parts = torch.zeros_like(x).flatten(2)
            parts = parts.scatter_add(2, torch.where((y > y0).flatten(2), at, at0), given).view_as(x)
            moved = (x - x0).abs() > SMALLEST
            return (torch.where(moved, parts / torch.where(moved, x - x0, 1), vjp(call.apply, x, m)),)

        return call.with_backward(back)

    def multiply(self, call: Call) -> Tensor:
        (a, b), _ = call.inputs, call.output
        (a0, b0), _ = self._reference_call(call)
        return call.with_backward(
            lambda m: ((m * (b + b0) / 2).sum_to_size(a.shape), (m * (a + a0) / 2).sum_to_size(b.shape))
        )
