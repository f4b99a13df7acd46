"""L-BFGS on a batch of independent pictures, for problems without chance: each has curvature and steps of its own."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from inverter.optimizer import Optimizer

ENOUGH = 1e-4
"""The share of the decrease that the slope promises which a step must bring (Armijo; Nocedal & Wright, eq. 3.6a)."""
FLAT = 1e-7
"""Curvature along a step below this, relative to what its length allows, is not worth remembering."""
LONG = 0.25
"""Where the scale of unseen directions lies between s.y / y.y (0; Nocedal & Wright, eq. 7.20) and s.s / s.y (1;
Barzilai & Borwein 1988), as a weight of logarithms: units that switch on and off make y long, the first too small."""


class LBFGS(Optimizer):
    """L-BFGS (Nocedal & Wright 2006, algorithm 7.5) over parameters whose first dimension is the batch.

    torch's own takes one step for all parameters and asks for several evaluations within it. Here every evaluation is
    one step of the loop: a picture whose last move brought enough of a decrease goes on along a new direction, and one
    whose move did not comes half-way back, each on its own.

    Args:
        parameters: each (B, ...).
        first: length of the first move, as the largest change of a parameter.
        memory: how many moves the curvature is built from.

    Example:
        >>> place = nn.Parameter(torch.tensor([[3.0, -1.0], [0.5, 8.0]]))
        >>> optimizer = LBFGS([place], first=0.1)
        >>> for _ in range(20):
        ...     loss = (place - torch.tensor([1.0, 2.0])).square() @ torch.tensor([1.0, 50.0])
        ...     optimizer.clear()
        ...     loss.sum().backward()
        ...     optimizer.step(torch.tensor([True, True]), loss.detach())
        >>> optimizer.finish()
        >>> place.data.round(decimals=3)
        tensor([[1., 2.],
                [1., 2.]])
    """

    def __init__(self, parameters: Iterable[nn.Parameter], first: float, memory: int = 10) -> None:
        super().__init__(parameters)
        self.first, self.memory = first, memory
        here = self._values()
        count = len(here)
        self.point, self.slope = here.clone(), torch.zeros_like(here)
        self.loss = here.new_full((count,), torch.inf)
        self.direction, self.length = torch.zeros_like(here), here.new_ones(count)
        self.moves: list[Tensor] = []  # newest last; a move of zeros is none
        self.bends: list[Tensor] = []
        self.curvatures: list[Tensor] = []

    def _values(self) -> Tensor:
        """All parameters of each picture, (B, N)."""
        return torch.cat([parameter.detach().flatten(1) for parameter in self.parameters], 1)

    @torch.no_grad()
    def step(self, alive: Tensor, loss: Tensor) -> None:
        """Takes what was found at the parameters, and moves on to where to look next.

        Args:
            alive: (B,) False for pictures that stay where they were best.
            loss: (B,), whose gradients the parameters hold.
        """
        here = self._values()
        slope = torch.cat([gradient.flatten(1) for gradient in self.gradients()], 1)
        move = here - self.point
        better = alive & (loss <= self.loss + ENOUGH * (self.slope * move).sum(1))  # the first loss is infinite
        self._remember(better, move, slope - self.slope)
        self.point = torch.where(better[:, None], here, self.point)
        self.slope = torch.where(better[:, None], slope, self.slope)
        self.loss = torch.where(better, loss, self.loss)
        self.direction = torch.where(better[:, None], self._downhill(), self.direction)
        self.length = torch.where(better, 1.0, 0.5 * self.length)
        self._write(self.point + self.length[:, None] * self.direction)

    def _remember(self, better: Tensor, move: Tensor, bend: Tensor) -> None:
        curvature = (move * bend).sum(1)
        useful = better & (curvature > FLAT * move.norm(dim=1) * bend.norm(dim=1))
        if not bool(useful.any()):
            return
        mask = useful[:, None]
        self.moves.append(torch.where(mask, move, 0))
        self.bends.append(torch.where(mask, bend, 0))
        self.curvatures.append(torch.where(useful, curvature, 0))
        for kept in (self.moves, self.bends, self.curvatures):
            del kept[: -self.memory]

    def _downhill(self) -> Tensor:
        """The two-loop recursion: minus the inverse curvature times the slope, (B, N)."""
        q, shares = self.slope.clone(), []
        inverse = [torch.where(c > 0, 1 / c.clamp_min(1e-38), 0) for c in self.curvatures]
        for move, bend, rho in zip(reversed(self.moves), reversed(self.bends), reversed(inverse), strict=True):
            share = rho * (move * q).sum(1)
            q -= share[:, None] * bend
            shares.append(share)
        scale = self.first / self.slope.abs().amax(1).clamp_min(1e-38)
        for move, bend, curvature in zip(self.moves, self.bends, self.curvatures, strict=True):  # the newest counts
            short = curvature / bend.square().sum(1).clamp_min(1e-38)
            long = move.square().sum(1) / curvature.clamp_min(1e-38)
            scale = torch.where(curvature > 0, short ** (1 - LONG) * long**LONG, scale)
        q *= scale[:, None]
        for move, bend, rho, share in zip(self.moves, self.bends, inverse, reversed(shares), strict=True):
            q += (share - rho * (bend * q).sum(1))[:, None] * move
        return -q

    def finish(self) -> None:
        """Goes back to the best that was found: the last move may not have been tried yet."""
        self._write(self.point)

    @torch.no_grad()
    def _write(self, values: Tensor) -> None:
        sizes = [parameter[0].numel() for parameter in self.parameters]
        for parameter, part in zip(self.parameters, values.split(sizes, 1), strict=True):
            parameter.copy_(part.view_as(parameter))
