"""What a network says of pictures: its five likeliest classes. A second network judges what a first one made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from objectives import OUTPUT


@dataclass(frozen=True)
class Guess:
    """One class with its probability; `name` is its index as text where the network has no names."""

    index: int
    name: str
    probability: float


@torch.no_grad()
def top_classes(model: Model, images: Tensor, count: int = 5, batch: int = 16) -> list[list[Guess]]:
    """The likeliest classes of each picture, best first.

    Args:
        images: (B, C, H, W) in [0, 1], of any size: they are scaled to the model's own.

    Raises:
        ValueError: if the model's output is no vector of classes (B, K).
    """
    guesses: list[list[Guess]] = []
    with model.looking([OUTPUT]) as capture:
        for part in images.split(batch):
            shown = part.to(model.device)
            if shown.shape[2:] != model.input_size:
                shown = F.interpolate(shown, model.input_size, mode="bilinear", antialias=True, align_corners=False)
            output = capture(model.normalize(shown))[OUTPUT].float()
            if output.ndim != 2:
                raise ValueError(f"{model.spec} puts out {tuple(output.shape)}, expected one number per class (B, K)")
            best = output.softmax(1).topk(min(count, output.shape[1]), dim=1)
            guesses += [
                [Guess(i, class_name(model.categories, i), p) for i, p in zip(indices, chances, strict=True)]
                for indices, chances in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ]
    return guesses


def class_name(categories: Sequence[str], index: int) -> str:
    """The name of a class, or its index as text."""
    return categories[index] if index < len(categories) else str(index)
