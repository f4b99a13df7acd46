"""Gates of directions in ascent: a latent that is off is climbed by its preactivation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from inverter.ascent.switched_mode import SwitchedMode
from inverter.directions.gates import gated


class _Climbed(torch.autograd.Function):
    """Values where a gate is open, else 0, with the gradient of the values wherever ascent raises them."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, open: Tensor) -> Tensor:
        ctx.save_for_backward(open)
        return torch.where(open, values, torch.zeros_like(values))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        ((open,), (gradient,)) = ctx.saved_tensors, gradients
        # Descent moves values against the gradient: a positive one would push a latent that is off further down.
        return torch.where(open, gradient, gradient.clamp(max=0)), None


class ClimbedGates(SwitchedMode):
    """A context in which ascent on a latent of directions climbs its preactivation where its gate is closed.

    A latent of a sparse autoencoder is off at most places of a picture, on the start picture often at all, and has no
    gradient there. Here the gate passes a gradient on that raises the preactivation; one that lowers it is blocked as
    before. Values, and so the scores, are those of the gate. docs/directions.md has what was tried.

    Args:
        on: False for a context without effect.

    Example:
        >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)
        >>> with ClimbedGates():
        ...     loss = -gated(x, x > 0).sum()
        >>> loss.item(), torch.autograd.grad(loss, x)[0].tolist()
        (-2.0, [-1.0, -1.0])
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is gated and args[0].requires_grad:
            return _Climbed.apply(*args)
        return function(*args, **(kwargs or {}))
