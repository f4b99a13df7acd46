"""The least change of pictures that reaches a goal, as 8-bit pictures: fast minimum-norm attacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from inverter import Model
from inverter.ascent.input_gradients import InputGradients
from inverter.ascent.relu_rules import RedirectedReLU
from objectives import Activations
from recipes.adversarial.goals import Goal

Norm = Literal["l2", "linf"]
NORMS: tuple[Norm, ...] = get_args(Norm)

LEVELS = 255
"""Steps of an 8-bit value: the change of a picture that is written is a multiple of 1 / LEVELS."""
GAMMA = (0.05, 0.001)
"""How fast the radius of the search shrinks and grows, at the start and at the end (Pintor et al. 2021, section 4)."""
SEEKING = 4
"""How many times faster the radius grows until a first change is found."""
SCALINGS = 16
"""Factors that are tried of a continuous change until it survives rounding: doublings, then halves between two."""
STEP = {"l2": (1.0, 1e-3), "linf": (1.0, 1e-2)}
"""Length of a step in L2, at the start and at the end."""


@dataclass(frozen=True)
class LeastChange:
    """The changes that were found.

    Attributes:
        images: the changed pictures, (B, C, H, W) in [0, 1], multiples of 1 / LEVELS; the last that was tried where the
            goal was not reached.
        reached: (B,) bool.
        continuous: (B,) the norm of the least change before rounding, in [0, 1] units; infinite where none was found.
    """

    images: Tensor
    reached: Tensor
    continuous: Tensor


def as_bytes(images: Tensor) -> Tensor:
    """Pictures as an 8-bit file holds them."""
    return (images.clamp(0, 1) * LEVELS).round() / LEVELS


def size_of(change: Tensor, norm: str) -> Tensor:
    """The norm of changes (B, C, H, W): (B,), in [0, 1] units."""
    flat = change.flatten(1)
    return flat.norm(dim=1) if norm == "l2" else flat.abs().amax(1)


def least_change(model: Model, goal: Goal, images: Tensor, norm: Norm, steps: int) -> LeastChange:
    """Searches for the least change that reaches a goal, for each picture of a batch on its own.

    FMN (Pintor et al. 2021, "Fast minimum-norm adversarial attacks", algorithm 1): gradient steps of fixed length, each
    followed by a projection onto a ball around the picture, whose radius shrinks after a step that reached the goal and
    grows after one that did not. In a first part of `steps` steps values are continuous. In a second part, of half as
    many, the network sees each picture rounded to 8 bits, and what is best is the least rounded change. Most values of
    a small change round to none, so it is first enlarged until it survives that.

    Args:
        model: the network.
        goal: for these pictures.
        images: (B, C, H, W) in [0, 1], multiples of 1 / LEVELS, on the model's device.
        norm: whose least value is sought.
        steps: of the first part.

    Returns:
        The changes.
    """
    with model.capture(goal.reads) as capture:
        search = _Search(model, goal, capture, images, norm)
        search.run(steps, rounded=False)
        continuous = search.best
        search.restart()
        search.run(steps // 2, rounded=True)
    return LeastChange(search.found, search.best.isfinite(), continuous)


class _Search:
    """The state of a batch.

    Attributes:
        best: norm of the least change that reached the goal, (B,); infinite where none did.
        found: the pictures with it.
    """

    def __init__(
        self,
        model: Model,
        goal: Goal,
        capture: Callable[[Tensor], dict[str, Tensor]],
        images: Tensor,
        norm: Norm,
    ) -> None:
        self.model, self.goal, self.capture, self.images, self.norm = model, goal, capture, images, norm
        self.change = torch.zeros_like(images)
        self.radius = images.new_full((len(images),), torch.inf)
        self.best, self.found = self.radius.clone(), images.clone()
        self.stuck = torch.zeros(len(images), dtype=torch.bool, device=images.device)

    @torch.no_grad()
    def restart(self) -> None:
        """Begins the second part at the least changes of the first one, as much enlarged as rounding requires."""
        known = self.best.isfinite()
        start = torch.where(_wide(known), self.found - self.images, self.change)
        self.best, self.found = torch.full_like(self.best, torch.inf), as_bytes(self.images + start)
        low, high = torch.ones_like(self.best), torch.full_like(self.best, torch.inf)
        for _ in range(SCALINGS):
            scale = torch.where(high.isfinite(), (low + high) / 2, low * 2)
            shown = as_bytes(self.images + start * _wide(scale))
            margin, _ = self.goal.judge(Activations(self.capture(self.model.normalize(shown)), shown))
            reached = self._keep(shown, margin)
            low, high = torch.where(reached, low, scale), torch.where(reached, scale, high)
        scale = torch.where(high.isfinite(), high, torch.ones_like(high))
        self.change = (self.images + start * _wide(scale)).clamp(0, 1) - self.images
        self.radius = size_of(self.change, self.norm)

    def _keep(self, shown: Tensor, margin: Tensor) -> Tensor:
        """Keeps the pictures that reached the goal with less change than any before; returns which reached it, (B,).

        Of changes of the same L-infinity norm, as rounding makes many, the one with the least L2 norm is kept.
        """
        size, reached = size_of(shown - self.images, self.norm), margin > 0
        least, kept = size_of(shown - self.images, "l2"), size_of(self.found - self.images, "l2")
        tied = (size - self.best).abs() < 1e-6
        better = reached & torch.where(tied, least < kept, size < self.best)
        self.best = torch.where(better, size, self.best)
        self.found = torch.where(_wide(better), shown, self.found)
        return reached

    @torch.no_grad()
    def run(self, steps: int, rounded: bool) -> None:
        """Takes some steps.

        Args:
            steps: their number.
            rounded: True if the network sees 8-bit pictures.
        """
        for step in range(steps):
            gamma, length = _falling(GAMMA, step, steps), _falling(STEP[self.norm], step, steps)
            shown = self.images + self.change
            shown = as_bytes(shown) if rounded else shown
            margin, gradient = self._look(shown)
            reached = self._keep(shown, margin)
            self._adapt(reached, margin, gradient, gamma)
            direction = gradient / _wide(gradient.flatten(1).norm(dim=1).clamp(min=1e-12))
            self.change = self._projected(self.change - length * direction)

    def _look(self, shown: Tensor) -> tuple[Tensor, Tensor]:
        """How far pictures are beyond the goal, (B,), and the gradient of what is to be reduced."""
        with torch.enable_grad():
            image = shown.detach().requires_grad_()
            with InputGradients(), RedirectedReLU(self.stuck) if self.stuck.any() else nullcontext():
                seen = self.capture(self.model.normalize(image))
            margin, increase = self.goal.judge(Activations(seen, image))
            (gradient,) = torch.autograd.grad(-increase.sum(), image)
        self.stuck = ~gradient.flatten(1).any(1)
        return margin.detach(), gradient

    def _adapt(self, reached: Tensor, margin: Tensor, gradient: Tensor, gamma: float) -> None:
        """The radius of the next step."""
        size = size_of(self.change, self.norm)
        dual = gradient.flatten(1).norm(p=2 if self.norm == "l2" else 1, dim=1).clamp(min=1e-12)
        guess = size - margin / dual
        inside = torch.minimum(self.radius, size) * (1 - gamma)
        wider = self.radius * (1 + gamma)
        # At first as far as the goal is away if all were linear; then faster than later until a change is found.
        lost = torch.where(self.radius.isfinite(), self.radius * (1 + SEEKING * gamma), guess)
        outside = torch.where(self.best.isfinite(), wider, lost)
        self.radius = torch.where(reached, inside, outside)

    def _projected(self, change: Tensor) -> Tensor:
        radius = _wide(self.radius)
        if self.norm == "l2":
            change = change * (radius / _wide(size_of(change, "l2").clamp(min=1e-12))).clamp(max=1)
        else:
            change = change.clamp(-radius, radius)
        return (self.images + change).clamp(0, 1) - self.images


def _falling(ends: tuple[float, float], step: int, steps: int) -> float:
    """A value that falls from the first end to the last one as half a cosine."""
    first, last = ends
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
