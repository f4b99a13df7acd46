"""What optimises a batch of independent pictures: parameters with the batch first, and their gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from inverter_errors import BadInput, BadType


class Optimizer:
    """Over parameters, each (B, ...). A subclass implements `step`; every call of it follows one backward pass."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = list(parameters)

    def clear(self) -> None:
        """Forgets the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        """What the last backward pass left, (B, ...) each.

        Raises:
            BadInput: if it did not reach one of the parameters.
        """
        found = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if len(found) < len(self.parameters):
            raise BadInput(
                "the objective's gradient does not reach the prior's parameters: the layer does not depend on the "
                "image, or the network runs it under no_grad"
            )
        return found

    def finite(self) -> Tensor:
        """(B,) True where every gradient of the picture is a number."""
        # A sum is not finite if any of its terms is not, and is much cheaper than looking at each of them.
        return torch.stack([gradient.flatten(1).sum(1) for gradient in self.gradients()]).isfinite().all(0)

    def step(self, alive: Tensor, loss: Tensor) -> None:
        """Moves the pictures that are `alive` (B,), of which the last backward pass found the `loss` (B,)."""
        raise BadType(f"{type(self).__name__} must define step()")

    def finish(self) -> None:
        """Goes to where the optimisation ends; by default it is there."""
