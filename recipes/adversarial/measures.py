"""What is measured of changed pictures: sizes of the change, what networks see, and the amplified difference."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from inverter import Model
from recipes.activations.predictions import Guess, classifies, top_classes
from recipes.adversarial.least_change import LEVELS

SHOWN = 0.9
"""The largest change reaches this share of the way from grey to black or white in the amplified difference."""


def sizes(image: Tensor, changed: Tensor) -> dict[str, Any]:
    """The size of a change of 8-bit pictures (C, H, W).

    Returns:
        `l2` and `linf` in [0, 1] units, `l2_255` and `linf_255` in steps of an 8-bit value, `rms_255` over all values,
        and `changed`, the share of values that differ.
    """
    change = ((changed - image) * LEVELS).round()
    l2, linf = float(change.norm()), int(change.abs().max())
    return {
        "l2": l2 / LEVELS,
        "linf": linf / LEVELS,
        "l2_255": l2,
        "linf_255": linf,
        "rms_255": l2 / math.sqrt(change.numel()),
        "changed": float((change != 0).float().mean()),
    }


def amplified(image: Tensor, changed: Tensor) -> tuple[Tensor, int]:
    """The difference of two pictures around grey, and its factor of amplification: 1, 2 or 5 times a power of 10.

    Example:
        >>> picture, factor = amplified(torch.zeros(1, 1, 2), torch.tensor([[[0.0, 4 / 255]]]))
        >>> factor, [round(value, 3) for value in picture.flatten().tolist()]
        (20, [0.5, 0.814])
    """
    change = changed - image
    largest = float(change.abs().max())
    room = SHOWN * 0.5 / largest if largest > 0 else 1.0
    power = 10 ** math.floor(math.log10(max(room, 1.0)))
    factor = int(max(step * power for step in (1, 2, 5) if step * power <= max(room, 1.0)))
    return (0.5 + factor * change).clamp(0, 1), factor


def seen_classes(model: Model, images: Tensor, size: tuple[int, int]) -> list[list[dict[str, Any]]]:
    """The five most probable classes of each picture as JSON values; none for a network that is no classifier."""
    if not classifies(model, size):
        return [[] for _ in images]
    return [[_plain(guess) for guess in guesses] for guesses in top_classes(model, images, size=size)]


def _plain(guess: Guess) -> dict[str, Any]:
    return {"index": guess.index, "name": guess.name, "probability": round(guess.probability, 4)}


def fooled(before: list[dict[str, Any]], after: list[dict[str, Any]], target: dict[str, Any] | None) -> bool | None:
    """Whether a second network is fooled: it sees the target class or, without one, another class than before.

    Args:
        before: classes that it sees in the picture, best first.
        after: in the changed picture.
        target: index and name of the class that was to be reached, if there is one.

    Returns:
        None if it is no classifier. Classes are compared by name, or by index where there are no names.
    """
    if not before or not after:
        return None
    if target is None:
        return bool(after[0]["index"] != before[0]["index"])
    return target["name"] in (after[0]["name"], str(after[0]["index"]))


def as_file(images: Tensor) -> Tensor:
    """Pictures as they are read back from their 8-bit files."""
    return (images * LEVELS).round().to(torch.uint8).float() / LEVELS
