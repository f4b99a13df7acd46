"""Class sensitivity: a map that stays the same for another class does not explain this one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inverter import Model, encode
from objectives import OUTPUT
from recipes.attribution.measures.similarity import rank_correlation


def runner_up_classes(model: Model, images: Tensor, classes: Sequence[int], output: str = OUTPUT) -> list[int] | None:
    """The highest scoring class of each image other than the given one.

    The nearest rival makes the test hard. For a class that the network rules out, a score behind a ReLU may have no
    gradient, and every map would change.

    Args:
        model: a classifier.
        images: (B, C, H, W) in [0, 1].
        classes: (B,), the class that is excluded for each image.
        output: address of the output with the classes; one with positions is averaged over them.

    Returns:
        (B,) class indices; None if there is a single class.
    """
    scores = encode(model, images, output)[output].clone()
    scores = scores.mean((2, 3)) if scores.ndim == 4 else scores
    if scores.ndim < 2 or scores.shape[1] < 2:
        return None
    scores[torch.arange(len(classes)), torch.tensor(classes)] = -torch.inf
    return scores.argmax(1).tolist()


def target_change(own: Tensor, other: Tensor) -> Tensor:
    """1 - rank correlation of maps (B, H, W) for two targets, (B,); 0 if the maps are the same.

    Example:
        >>> heat = torch.rand(1, 4, 4)
        >>> round(float(target_change(heat, 2 * heat)), 4), round(float(target_change(heat, -heat)), 4)
        (0.0, 2.0)
    """
    return 1 - rank_correlation(own, other)
