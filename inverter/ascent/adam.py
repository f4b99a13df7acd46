"""Adam on a batch of independent pictures: one that has stopped stays, and the host never waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from inverter.ascent.optimizer import Optimizer

NOISE = 1e-5
"""Gradients this far below a picture's root mean square count as rounding errors."""


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1) over parameters whose first dimension is the batch.

    `torch.optim.Adam` would keep moving a picture by its momentum after its gradient became NaN, and checking for that
    on the host would stall the loop; here a mask on the device decides.

    Args:
        parameters: each (B, ...).
        rates: the learning rate of each step.
        betas: decay rates of the first and second moment; the second is short (.99), since the steps are few.
        eps: as in the paper.
        noise: what counts as rounding in a gradient, relative to its root mean square over the picture.
    """

    recordable: ClassVar[bool] = True

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        rates: Sequence[float],
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        noise: float = NOISE,
    ) -> None:
        super().__init__(parameters)
        self.betas, self.noise = betas, noise
        device = self.parameters[0].device
        self.steps = torch.zeros(1, dtype=torch.long, device=device)
        # The factors of each step lie on the device, where the number of the step is known as well.
        self.factors = torch.tensor(_factors(rates, betas, eps), dtype=torch.float32, device="cpu").to(device)
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, alive: Tensor, loss: Tensor, gradients: Sequence[Tensor]) -> None:
        """Moves the pictures that are `alive` along their gradients; the others stay exactly where they are.

        Args:
            alive: (B,) bool.
            loss: (B,), not used: random augmentations make it noisy.
            gradients: (B, ...) for each parameter.
        """
        # On the CPU, reading the mask is free and saves a pass; on other devices it would stall the loop.
        everyone = alive.device.type == "cpu" and bool(alive.all())
        first, second = self.betas
        rate, eps = self.factors.index_select(0, self.steps)[0]
        self.steps += 1
        for parameter, gradient, mean, square in zip(self.parameters, gradients, self.means, self.squares, strict=True):
            mask = alive.view(-1, *[1] * (gradient.ndim - 1))
            if not everyone:
                gradient = torch.where(mask, gradient, 0)
            mean.lerp_(gradient, 1 - first)
            square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            # Rounding noise must not count as a gradient: what is far below the picture's own scale hardly moves, else
            # Adam would amplify the last digits, which differ from batch to batch, to a full step.
            floor = self.noise * square.flatten(1).mean(1).sqrt() + eps
            scale = square.sqrt().add_(floor.view(mask.shape)).div_(rate)
            if everyone:
                parameter.addcdiv_(mean, scale, value=-1)
            else:
                parameter.copy_(torch.where(mask, torch.addcdiv(parameter, mean, scale, value=-1), parameter))

    def reset(self) -> None:
        for tensor in (self.steps, *self.means, *self.squares):
            tensor.zero_()


def _factors(rates: Sequence[float], betas: tuple[float, float], eps: float) -> list[tuple[float, float]]:
    """The rate and the eps of each step, with the corrections of both moments for their start at 0."""
    first, second = betas
    corrections = [(1 - second**step) ** 0.5 for step in range(1, len(rates) + 1)]
    return [
        (rate * correction / (1 - first**step), eps * correction)
        for step, (rate, correction) in enumerate(zip(rates, corrections, strict=True), 1)
    ]
