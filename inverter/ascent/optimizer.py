"""The base of the optimisers of a batch of independent pictures: parameters with the batch first, and gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from inverter_errors import BadInput


class Optimizer(ABC):
    """An optimiser of parameters (B, ...). A subclass implements `step`, which is called after each backward pass.

    Args:
        parameters: each (B, ...).
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = list(parameters)

    def clear(self) -> None:
        """Drops the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        """The gradients of the last backward pass, (B, ...) each.

        Raises:
            BadInput: if one of the parameters has none.
        """
        found = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if len(found) < len(self.parameters):
            raise BadInput(
                "the objective's gradient does not reach the prior's parameters: the layer does not depend on the "
                "image, or the network runs it under no_grad"
            )
        return found

    def finite(self) -> Tensor:
        """(B,) True where every gradient of the picture is finite."""
        # A sum is not finite if any of its terms is not, and is much cheaper than testing each of them.
        return torch.stack([gradient.flatten(1).sum(1) for gradient in self.gradients()]).isfinite().all(0)

    @abstractmethod
    def step(self, alive: Tensor, loss: Tensor) -> None:
        """Moves the pictures that are alive.

        Args:
            alive: (B,) bool; the others must stay exactly where they are.
            loss: (B,), of the last backward pass.
        """

    def finish(self) -> None:  # noqa: B027 - most optimisers have no more to do
        """Moves the parameters to the final result; called once, after the last step."""
