"""Activation functions with a dip, such as GELU: how ascent on a unit that starts below the dip gets out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from inverter.ascent.relu_spellings import function_name
from inverter.ascent.switched_mode import SwitchedMode

DIPS: Final = {"gelu": -0.7518, "silu": -1.2785, "mish": -1.1925, "hardswish": -1.5}
"""Functions that rise to 0 again towards minus infinity, and where they are lowest."""


class Lift(SwitchedMode):
    """A context in which ascent on the output of a GELU (SiLU, Mish, Hardswish) raises its input also below the dip.

    Far below 0 these functions fall with their input. If a unit's input starts there, ascent leads it to minus
    infinity, where the unit is 0 again, and its picture stays grey. Here the sign of such a gradient is reversed, for
    inactive images, at the last of these functions in the forward pass: that of the unit itself. Its size stays as it
    is. All other gradients stay exactly as they are.

    Args:
        on: False for a context without effect.

    Attributes:
        inactive: (B,) bool, the images whose gradients may be reversed; to be set before the backward pass.
        found: number of these functions in the forward pass.

    Example:
        >>> x = torch.full((1,), -2.0, requires_grad=True)
        >>> with Lift() as lift:
        ...     loss = -torch.nn.functional.gelu(x)
        >>> lift.inactive = torch.tensor([True])
        >>> loss.backward()
        >>> bool(x.grad < 0)  # descent on the loss moves x up
        True
    """

    def __init__(self, on: bool = True) -> None:
        super().__init__(on)
        self.inactive: Tensor | None = None
        self.found = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        dip = DIPS.get(function_name(function))
        x = args[0] if args else (kwargs or {}).get("input")
        if dip is None or x is result or not isinstance(x, Tensor) or not result.requires_grad:
            return result
        self.found += 1
        call, below = self.found, x.detach()

        def reverse(gradient: Tensor) -> Tensor | None:
            rows = self.inactive
            if call != self.found or rows is None or len(rows) != len(gradient):
                return None
            # Descent moves the output against the gradient: a negative one is to raise it.
            fallen = rows.view(-1, *[1] * (gradient.ndim - 1)) & (below < dip) & (gradient < 0)
            return torch.where(fallen, -gradient, gradient)

        result.register_hook(reverse)
        return result
