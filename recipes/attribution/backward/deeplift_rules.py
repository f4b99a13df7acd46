"""DeepLIFT: what differs between a picture and a reference, carried back through the network step by step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from recipes.attribution.backward.function_rules import Call, Rules, vjp

SAME = 1e-7
"""Inputs that differ by less are the same; their multiplier is the gradient."""


class RescaleRule(Rules):
    """A context for two forward passes: of the reference, and, after `compare`, of the picture.

    Of the differences d = picture - reference, an activation function passes on m dy / dx: the rescale rule of
    Shrikumar et al. 2017 (section 3.5.2). A maximum gives its difference to where the larger one is, a product half
    to each factor. So the sum over the inputs of m dx is always the difference of the output (eq. 1).
    """

    def __init__(self) -> None:
        super().__init__()
        self._reference: list[tuple[tuple[Tensor, ...], Tensor]] = []
        self._next: int | None = None

    def compare(self) -> None:
        """From here on calls are the picture's; they come in the order of the reference's."""
        self._next = 0

    def concerns(self, inputs: Sequence[Tensor]) -> bool:
        return True

    def _other(self, call: Call) -> tuple[tuple[Tensor, ...], Tensor]:
        """Inputs and output of the same call of the reference; of the reference itself, its own."""
        if self._next is None:
            self._reference.append((tuple(each.clone() for each in call.inputs), call.output))
            return self._reference[-1]
        self._next += 1
        return self._reference[self._next - 1]

    def elementwise(self, call: Call) -> Tensor:
        (x,), y = call.inputs, call.output
        (x0,), y0 = self._other(call)
        moved = (x - x0).abs() > SAME
        if moved.all():  # as is usual, and the gradient costs another pass
            slope = (y - y0) / (x - x0)
            return call.replaced(lambda m: (m * slope,))
        slope = (y - y0) / torch.where(moved, x - x0, 1)
        return call.replaced(lambda m: (torch.where(moved, m * slope, vjp(call.of, x, m)),))

    def max_pool2d(self, call: Call) -> Tensor:
        (x,), y = call.inputs, call.output
        (x0,), y0 = self._other(call)

        def back(m: Tensor) -> tuple[Tensor]:
            options = dict(call.kwargs, return_indices=True)
            at, at0 = (F.max_pool2d(each, *call.rest, **options)[1].flatten(2) for each in (x, x0))
            given = (m * (y - y0)).flatten(2)
            parts = torch.zeros_like(x).flatten(2)
            parts = parts.scatter_add(2, torch.where((y > y0).flatten(2), at, at0), given).view_as(x)
            moved = (x - x0).abs() > SAME
            return (torch.where(moved, parts / torch.where(moved, x - x0, 1), vjp(call.of, x, m)),)

        return call.replaced(back)

    def multiply(self, call: Call) -> Tensor:
        (a, b), _ = call.inputs, call.output
        (a0, b0), _ = self._other(call)
        return call.replaced(
            lambda m: ((m * (b + b0) / 2).sum_to_size(a.shape), (m * (a + a0) / 2).sum_to_size(b.shape))
        )
