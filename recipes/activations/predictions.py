"""What a network says of pictures: its five likeliest classes. A second network judges what a first one made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter_errors import BadInput
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
        BadInput: if the model's output is no vector of classes (B, K).
    """
    guesses: list[list[Guess]] = []
    with model.capture([OUTPUT]) as capture:
        for part in images.split(batch):
            shown = part.to(model.device)
            if shown.shape[2:] != model.input_size:
                shown = F.interpolate(shown, model.input_size, mode="bilinear", antialias=True, align_corners=False)
            output = capture(model.normalize(shown))[OUTPUT].float()
            if output.ndim != 2:
                raise BadInput(f"{model.spec} puts out {tuple(output.shape)}, expected one number per class (B, K)")
            best = output.softmax(1).topk(min(count, output.shape[1]), dim=1)
            guesses += [
                [Guess(i, class_name(model.categories, i), p) for i, p in zip(indices, chances, strict=True)]
                for indices, chances in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ]
    return guesses


def class_name(categories: Sequence[str], index: int) -> str:
    """The name of a class, or its index as text."""
    return categories[index] if index < len(categories) else str(index)


def classifies(model: Model) -> bool:
    """True if the network's output is one number for each of several classes, at its own size."""
    try:
        shape = model.shapes([OUTPUT])[OUTPUT]
    except ValueError:  # its own size is only supposed, where its source does not say it
        return False
    return len(shape) == 2 and shape[1] > 1


def recognise(
    found: Sequence[dict[str, Any]], name: str, network: Model, images: Tensor, originals: Tensor | None
) -> None:
    """Adds a network's five likeliest classes of each picture, and whether it still sees what it saw in the original.

    The network itself has to put the same class first; a judge must only have its own first class among its five.
    """
    guesses = top_classes(network, images)
    for metrics, best in zip(found, guesses, strict=True):
        metrics[name] = [_plain(guess) for guess in best]
    if originals is None:
        return
    verdict, among = ("same_class", 1) if name == "top5" else ("judge_recognises", 5)
    for metrics, best, (first, *_) in zip(found, guesses, top_classes(network, originals), strict=True):
        metrics[verdict] = first.index in [guess.index for guess in best[:among]]


def _plain(guess: Guess) -> dict[str, Any]:
    return {"index": guess.index, "name": guess.name, "probability": round(guess.probability, 4)}
