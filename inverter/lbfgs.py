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
        # A ring for each picture: its last `memory` moves, and behind them the bends, the changes of the slope along
        # them. Where it has fewer there are zeros.
        self.kept = here.new_zeros(count, 2 * memory, here.shape[1])
        self.products = here.new_zeros(count, 2 * memory, 2 * memory)  # of all kept vectors with each other
        self.taken = torch.zeros(count, dtype=torch.long, device=here.device)
        self.pictures = torch.arange(count, device=here.device)

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
        move, bend = here - self.point, slope - self.slope
        better = alive & (loss <= self.loss + ENOUGH * (self.slope * move).sum(1))  # the first loss is infinite
        self.point = torch.where(better[:, None], here, self.point)
        self.slope = torch.where(better[:, None], slope, self.slope)
        self.loss = torch.where(better, loss, self.loss)
        along = self._remember(better, move, bend)
        self.direction = torch.where(better[:, None], self._downhill(along), self.direction)
        self.length = torch.where(better, 1.0, 0.5 * self.length)
        self._write(self.point + self.length[:, None] * self.direction)

    def _remember(self, better: Tensor, move: Tensor, bend: Tensor) -> Tensor:
        """Keeps the move of pictures that it taught something; returns the slope's products with all that is kept."""
        curvature = (move * bend).sum(1)
        useful = better & (curvature > FLAT * move.norm(dim=1) * bend.norm(dim=1))
        slot = self.taken % self.memory
        places = (slot, slot + self.memory)
        for vector, place in zip((move, bend), places, strict=True):
            self.kept[self.pictures, place] = torch.where(useful[:, None], vector, self.kept[self.pictures, place])
        products = self.kept @ torch.stack([move, bend, self.slope], 2)
        for new, place in zip(products.unbind(2), places, strict=False):
            row = torch.where(useful[:, None], new, self.products[self.pictures, place])
            self.products[self.pictures, place] = row
            self.products[self.pictures, :, place] = row
        self.taken += useful
        return products[:, :, 2]

    def _downhill(self, along: Tensor) -> Tensor:
        """Minus the inverse curvature times the slope, (B, N), from the slope's products with all that is kept.

        With S and Y of the moves and bends, oldest first, R the upper triangle of S'Y and D its diagonal, it is
        g + S R^-T ((D + g Y'Y) R^-1 S' - g Y') - g Y R^-1 S' times the slope, g the scale of unseen directions (Byrd,
        Nocedal & Schnabel 1994, eq. 2.6). It is the two-loop recursion, but what is large is read twice, not 4 times a
        move, and the order of a picture's moves is that of small matrices.
        """
        count, memory = len(along), self.memory
        order = (self.taken[:, None] + torch.arange(memory, device=along.device)) % memory
        both = torch.cat([order, order + memory], 1)
        # The triangle's inverse wants more digits than the vectors have; some accelerators have no more.
        fine = torch.float32 if along.device.type == "mps" else torch.float64
        products = self.products.gather(1, both[:, :, None].expand(-1, -1, 2 * memory))
        products = products.gather(2, both[:, None].expand(-1, 2 * memory, -1)).to(fine)
        along = along.gather(1, both).to(fine)
        moves, bends = products[:, :memory, :memory], products[:, memory:, memory:]
        triangle = products[:, :memory, memory:].triu()
        curvature = triangle.diagonal(dim1=1, dim2=2)
        short = curvature[:, -1] / bends[:, -1, -1].clamp_min(1e-38)
        long = moves[:, -1, -1] / curvature[:, -1].clamp_min(1e-38)
        start = self.first / self.slope.abs().amax(1).clamp_min(1e-38).to(fine)
        scale = torch.where(curvature[:, -1] > 0, short.clamp_min(0) ** (1 - LONG) * long**LONG, start)[:, None, None]
        solvable = triangle + torch.diag_embed((curvature == 0).to(fine))  # where there is no move yet
        along_moves, along_bends = along[:, :memory, None], along[:, memory:, None]
        p = torch.linalg.solve_triangular(solvable, along_moves, upper=True)
        inner = curvature[..., None] * p + scale * (bends @ p - along_bends)
        shares = torch.linalg.solve_triangular(solvable.mT, inner, upper=False)
        weights = torch.zeros(count, 2 * memory, dtype=fine, device=along.device)
        weights.scatter_(1, both, torch.cat([shares, -scale * p], 1)[..., 0])
        step = scale[:, :, 0].to(self.slope) * self.slope
        return -(step + (weights[:, None].to(self.slope) @ self.kept)[:, 0])

    def finish(self) -> None:
        """Goes back to the best that was found: the last move may not have been tried yet."""
        self._write(self.point)

    @torch.no_grad()
    def _write(self, values: Tensor) -> None:
        sizes = [parameter[0].numel() for parameter in self.parameters]
        for parameter, part in zip(self.parameters, values.split(sizes, 1), strict=True):
            parameter.copy_(part.view_as(parameter))
