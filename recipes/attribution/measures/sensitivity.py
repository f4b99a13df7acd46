"""Sensitivity to the target: a map that says the same of another class says nothing of this one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inverter import Model, encode
from objectives import OUTPUT
from recipes.attribution.measures.similarity import rank_correlation


def runner_up_classes(model: Model, images: Tensor, classes: Sequence[int]) -> list[int]:
    """For each picture (B, 3, H, W) the class that the network puts highest, its own of `classes` (B,) aside.

    The nearest rival makes the test hard, and is one that the network sees: for a class that it rules out, a score that
    passes a ReLU has no gradient, and every map would change.
    """
    scores = encode(model, images, OUTPUT)[OUTPUT].clone()
    scores[torch.arange(len(classes)), torch.tensor(classes)] = -torch.inf
    return scores.argmax(1).tolist()


def target_change(own: Tensor, other: Tensor) -> Tensor:
    """1 - rank correlation of maps (B, H, W) for a target and for another one: (B,); 0 says the same of both.

    Example:
        >>> heat = torch.rand(1, 4, 4)
        >>> round(float(target_change(heat, 2 * heat)), 4), round(float(target_change(heat, -heat)), 4)
        (0.0, 2.0)
    """
    return 1 - rank_correlation(own, other)
