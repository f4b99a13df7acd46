"""Class predictions for pictures: by the network that they were optimised for, and by a second one as a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter.devices import sent
from inverter_errors import BadInput
from objectives import OUTPUT


@dataclass(frozen=True)
class Guess:
    """One predicted class with its probability.

    Attributes:
        index: of the class.
        name: of the class; its index as text if the network has no class names.
        probability: softmax output, in [0, 1].
    """

    index: int
    name: str
    probability: float


@torch.no_grad()
def top_classes(
    model: Model,
    images: Tensor,
    count: int = 5,
    batch: int = 16,
    size: tuple[int, int] | None = None,
    output: str = OUTPUT,
) -> list[list[Guess]]:
    """The most probable classes of each picture, best first.

    Args:
        model: a classifier.
        images: (B, C, H, W) in [0, 1], of any size: they are scaled to `size`.
        count: classes per picture, at most.
        batch: pictures per forward pass.
        size: (height, width) in pixels at which the model sees them; default: its input size.
        output: address of the output; one with a score for each position (B, K, h, w) is averaged over them.

    Returns:
        For each picture, its `count` most probable classes.

    Raises:
        BadInput: if the output is neither (B, K) nor (B, K, h, w).
    """
    guesses: list[list[Guess]] = []
    size = model.size_for(size)
    with model.capture([output]) as capture:
        for part in images.split(batch):
            shown = sent(part, model.device)
            if shown.shape[2:] != size:
                shown = F.interpolate(shown, size, mode="bilinear", antialias=True, align_corners=False)
            scores = capture(model.normalize(shown))[output].float()
            scores = scores.mean((2, 3)) if scores.ndim == 4 else scores
            if scores.ndim != 2:
                raise BadInput(f"{model.spec} outputs {tuple(scores.shape)}, expected one number per class (B, K)")
            best = scores.softmax(1).topk(min(count, scores.shape[1]), dim=1)
            guesses += [
                [Guess(i, class_name(model.categories, i), p) for i, p in zip(indices, probabilities, strict=True)]
                for indices, probabilities in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ]
    return guesses


def class_name(categories: Sequence[str], index: int) -> str:
    """The name of a class, or its index as text."""
    return categories[index] if index < len(categories) else str(index)


def classifies(model: Model, size: tuple[int, int] | None = None) -> bool:
    """True if the network outputs one score for each of several classes.

    Args:
        model: the network.
        size: (height, width) in pixels of its input; default: its input size.
    """
    try:
        shape = model.shapes([OUTPUT], size)[OUTPUT]
    except ValueError:  # its input size is a guess if its source does not specify it
        return False
    return len(shape) == 2 and shape[1] > 1


def recognise(
    found: Sequence[dict[str, Any]],
    name: str,
    network: Model,
    images: Tensor,
    originals: Tensor | None,
    size: tuple[int, int] | None = None,
) -> None:
    """Adds a network's top-5 classes of each picture, and whether it still recognises the class of the original.

    The network itself has to rank the same class first; a judge only has to rank its own first class among its top 5.

    Args:
        found: metrics of each picture; extended in place.
        name: key of the classes: `top5` for the network itself, `LABEL_top5` for a judge, whose verdict is then
            `LABEL_recognises`.
        network: the network that predicts.
        images: (B, C, H, W) in [0, 1].
        originals: the originals of the pictures, in the same shape; None if the pictures are the originals.
        size: (height, width) in pixels at which the network sees them; default: its input size.
    """
    guesses = top_classes(network, images, size=size)
    for metrics, best in zip(found, guesses, strict=True):
        metrics[name] = [_plain(guess) for guess in best]
    if originals is None:
        return
    verdict, among = ("same_class", 1) if name == "top5" else (f"{name.removesuffix('top5')}recognises", 5)
    for metrics, best, (first, *_) in zip(found, guesses, top_classes(network, originals, size=size), strict=True):
        metrics[verdict] = first.index in [guess.index for guess in best[:among]]


def _plain(guess: Guess) -> dict[str, Any]:
    return {"index": guess.index, "name": guess.name, "probability": round(guess.probability, 4)}
