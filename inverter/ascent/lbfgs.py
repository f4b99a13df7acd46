"""L-BFGS on a batch of independent pictures, for deterministic losses: each has curvature and steps of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from inverter.ascent.optimizer import Optimizer

ENOUGH = 1e-4
"""Fraction of the decrease predicted by the slope that a step must achieve (Armijo; Nocedal & Wright, eq. 3.6a)."""
FLAT = 1e-7
"""A step with less curvature than this, relative to the lengths of the step and of the gradient change, is dropped."""
LONG = 0.25
"""Scale of directions without curvature information, as a weight of logarithms between s.y / y.y (0; Nocedal & Wright,
eq. 7.20) and s.s / s.y (1; Barzilai & Borwein 1988): ReLUs that switch make y long, and the former too small."""


class LBFGS(Optimizer):
    """L-BFGS (Nocedal & Wright 2006, algorithm 7.5) over parameters whose first dimension is the batch.

    `torch.optim.LBFGS` takes one step for all parameters and needs several evaluations within it. Here every evaluation
    is one step of the loop: a picture whose last move decreased its loss enough moves on along a new direction, and one
    whose move did not goes half-way back, independently of the others.

    Args:
        parameters: each (B, ...).
        first: length of the first move, as the largest change of a parameter.
        memory: how many moves the curvature is estimated from.

    Example:
        >>> place = nn.Parameter(torch.tensor([[3.0, -1.0], [0.5, 8.0]]))
        >>> optimizer = LBFGS([place], first=0.1)
        >>> for _ in range(20):
        ...     loss = (place - torch.tensor([1.0, 2.0])).square() @ torch.tensor([1.0, 50.0])
        ...     optimizer.step(torch.tensor([True, True]), loss.detach(), optimizer.gradients(loss))
        >>> optimizer.finish()
        >>> place.data.round(decimals=3)
        tensor([[1., 2.],
                [1., 2.]])
    """

    def __init__(self, parameters: Iterable[nn.Parameter], first: float, memory: int = 10) -> None:
        super().__init__(parameters)
        self.first, self.memory = first, memory
        self.reset()

    def reset(self) -> None:
        memory, here = self.memory, self._values()
        count = len(here)
        self.point, self.slope = here.clone(), torch.zeros_like(here)
        self.loss = here.new_full((count,), torch.inf)
        self.direction, self.length = torch.zeros_like(here), here.new_ones(count)
        # A ring buffer for each picture: its last `memory` moves, followed by the bends, the changes of the slope along
        # them; zeros where there are fewer.
        self.kept = here.new_zeros(count, 2 * memory, here.shape[1])
        self.products = here.new_zeros(count, 2 * memory, 2 * memory)  # of all kept vectors with each other
        self.taken = torch.zeros(count, dtype=torch.long, device=here.device)
        self.pictures = torch.arange(count, device=here.device)

    def _values(self) -> Tensor:
        """All parameters of each picture, (B, N)."""
        return torch.cat([parameter.detach().flatten(1) for parameter in self.parameters], 1)

    @torch.no_grad()
    def step(self, alive: Tensor, loss: Tensor, gradients: Sequence[Tensor]) -> None:
        """Evaluates the last moves, and moves the parameters to the next points.

        Args:
            alive: (B,) bool, False for pictures that stay where they were best.
            loss: (B,) at the parameters as they are.
            gradients: of the loss, (B, ...) for each parameter.
        """
        here = self._values()
        slope = torch.cat([gradient.flatten(1) for gradient in gradients], 1)
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
        """Stores useful moves; returns the slope's products with all stored vectors."""
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
        """Minus the inverse Hessian times the slope, (B, N), from the slope's products with all stored vectors.

        With the moves S and bends Y, oldest first, R the upper triangle of S'Y and D its diagonal, the inverse Hessian
        is g + S R^-T ((D + g Y'Y) R^-1 S' - g Y') - g Y R^-1 S', with g the scale of all other directions (Byrd,
        Nocedal & Schnabel 1994, eq. 2.6). It equals the two-loop recursion, but reads the large vectors twice instead
        of 4 times a move, and only small matrices depend on the order of the moves.
        """
        count, memory = len(along), self.memory
        order = (self.taken[:, None] + torch.arange(memory, device=along.device)) % memory
        both = torch.cat([order, order + memory], 1)
        # The triangle's inverse needs more digits than the vectors have; MPS has no float64.
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
        """Returns to the best points: the last moves have not been evaluated."""
        self._write(self.point)

    @torch.no_grad()
    def _write(self, values: Tensor) -> None:
        sizes = [parameter[0].numel() for parameter in self.parameters]
        for parameter, part in zip(self.parameters, values.split(sizes, 1), strict=True):
            parameter.copy_(part.view_as(parameter))
