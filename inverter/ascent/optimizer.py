"""The base of the optimisers of a batch of independent pictures: parameters with the batch first, and gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from inverter_errors import BadInput


class Optimizer(ABC):
    """An optimiser of parameters (B, ...). A subclass implements `step`, which is called after each backward pass.

    Args:
        parameters: each (B, ...).

    Attributes:
        recordable: True if `step` only runs operations on the device, the same ones in each step.
    """

    recordable: ClassVar[bool] = False

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = list(parameters)

    def gradients(self, loss: Tensor) -> tuple[Tensor, ...]:
        """The gradients of a loss, (B, ...) for each parameter.

        Args:
            loss: (B,), of which picture i depends on row i of the parameters alone, or the objective couples them.

        Raises:
            BadInput: if the loss does not depend on one of the parameters.
        """
        # Not `backward`, which would accumulate into `.grad`: there the loss of a step meets the step before.
        found = torch.autograd.grad(loss.sum(), self.parameters, allow_unused=True)
        if any(gradient is None for gradient in found):
            raise BadInput(
                "the objective's gradient does not reach the prior's parameters: the layer does not depend on the "
                "image, or the network runs it under no_grad"
            )
        return found

    @abstractmethod
    def step(self, alive: Tensor, loss: Tensor, gradients: Sequence[Tensor]) -> None:
        """Moves the pictures that are alive.

        Args:
            alive: (B,) bool; the others must stay exactly where they are.
            loss: (B,), of the last backward pass.
            gradients: of the loss, (B, ...) for each parameter.
        """

    def reset(self) -> None:  # noqa: B027 - an optimiser without a state has none to forget
        """Forgets the steps so far: the parameters hold another start."""

    def finish(self) -> None:  # noqa: B027 - most optimisers have no more to do
        """Moves the parameters to the final result; called once, after the last step."""


def finite(gradients: Sequence[Tensor]) -> Tensor:
    """(B,) True where every gradient (B, ...) of the picture is finite."""
    # A sum is not finite if any of its terms is not, and is much cheaper than testing each of them.
    return torch.stack([gradient.flatten(1).sum(1) for gradient in gradients]).isfinite().all(0)
