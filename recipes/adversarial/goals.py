"""What a change of a picture is to achieve: another class, a certain class, or a unit's value above a threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inverter.scoring import scored
from objectives import Activations, Objective
from objectives.units import as_map

SMOOTH = 0.25
"""Temperature of the smooth maximum over classes, as a share of the margin."""


@dataclass(frozen=True)
class Goal:
    """A goal for a batch of B pictures.

    Attributes:
        reads: addresses of the layers that it reads.
        judge: activations -> how far each picture is beyond the goal, (B,): it is reached where that is above 0; and
            what to increase to get there, (B,), nearly always the same.
    """

    reads: tuple[str, ...]
    judge: Callable[[Activations], tuple[Tensor, Tensor]]


def other_class(layer: str, classes: Sequence[int]) -> Goal:
    """Any other class has the highest score: max over j != y of z_j, minus z_y (Carlini and Wagner 2017).

    What is increased has a smooth maximum instead, t log of the sum over j != y of exp(z_j / t), since the class that
    is nearest is often not the runner-up. Its temperature t is a share of the margin, so that it sharpens on the way.

    Args:
        layer: address of the scores, (B, K) or (B, K, h, w), which are averaged.
        classes: y of each picture.

    Example:
        >>> goal = other_class("", [0])
        >>> goal.judge(Activations({"": torch.tensor([[3.0, 1.0, 2.0]])}))[0]
        tensor([-1.])
    """

    def judge(activations: Activations) -> tuple[Tensor, Tensor]:
        scores, own = _scores(activations, layer, classes)
        score, others = scores.gather(1, own)[:, 0], _without(scores, own)
        margin = others.amax(1) - score
        warmth = (SMOOTH * margin.detach().abs()).clamp(min=1e-6)
        return margin, warmth * (others / warmth[:, None]).logsumexp(1) - score

    return Goal((layer,), judge)


def this_class(layer: str, target: int) -> Goal:
    """A certain class t has the highest score: z_t minus the maximum over j != t of z_j.

    Where t has the lowest score of all, z_t alone is to be increased: behind a final ReLU it has no gradient, and that
    of its rivals would hide that it is stuck.

    Args:
        layer: address of the scores, (B, K) or (B, K, h, w), which are averaged.
        target: t.
    """

    def judge(activations: Activations) -> tuple[Tensor, Tensor]:
        scores, own = _scores(activations, layer, [target] * len(activations[layer]))
        score = scores.gather(1, own)[:, 0]
        margin = score - _without(scores, own).amax(1)
        return margin, torch.where(score <= scores.detach().amin(1), score, margin)

    return Goal((layer,), judge)


def above(objective: Objective, threshold: float) -> Goal:
    """An objective (a unit's activation, a latent's, a class score) exceeds a threshold.

    Args:
        objective: of the pictures.
        threshold: its value.
    """

    def judge(activations: Activations) -> tuple[Tensor, Tensor]:
        margin = scored(objective, activations) - threshold
        return margin, margin

    return Goal(objective.reads, judge)


def _scores(activations: Activations, layer: str, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Scores (B, K), and the index of each picture's class, (B, 1)."""
    scores = as_map(activations[layer], layer).float().mean((2, 3))
    return scores, torch.tensor(classes, device=scores.device)[:, None]


def _without(scores: Tensor, own: Tensor) -> Tensor:
    return scores.scatter(1, own, -torch.inf)
