"""Tuned options and optimisation schedules of `inverter invert`, by prior and depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inverter_errors import BadInput
from recipes.options.named import parse_options

AUTO = "auto"
LEARNED = "learned"
"""The prior of one-pass pre-images, `learned` or `learned:weights=FILE`."""
ADAM = {"schedule": "cosine", "momentum": 0.9}
"""Adam's settings that match a code best: without random transforms the gradients are consistent, so momentum pays."""


@dataclass(frozen=True)
class Approach:
    """How to optimise pre-images with a prior, by the stride of the code in pixels.

    Attributes:
        options: stride -> the prior's options, where the user gives none.
        stages: stride -> fields of `inverter.Settings`, for one stage after the other.
    """

    options: Callable[[float], dict[str, Any]]
    stages: Callable[[float], list[dict[str, Any]]]


def _pixels(stride: float) -> dict[str, Any]:
    # Deeper codes leave more of the picture open, and need more regularisation.
    return {"total_variation": _by_depth(stride, 0.3, 1.0, 4.0), "spread": 0.01}


def _pixels_stages(stride: float) -> list[dict[str, Any]]:
    return [{"steps": _by_depth(stride, 200, 300, 700), "learning_rate": _by_depth(stride, 0.05, 0.1, 0.1)} | ADAM]


def _fourier_stages(stride: float) -> list[dict[str, Any]]:
    """First L-BFGS, which finds the picture, then Adam, which removes the small rest of the error.

    Adam alone matches the code as well, but with a picture further from the original: it moves all coefficients by
    similar amounts, including those on which the code hardly depends.
    """
    return [
        {"steps": 250, "optimizer": "lbfgs", "learning_rate": 1.0},
        # A vector constrains the picture so little that large steps only add noise to it.
        {"steps": 150, "learning_rate": 0.07 if stride < 64 else 0.02} | ADAM,
    ]


def _by_depth(stride: float, shallow: float, middle: float, deep: float) -> Any:
    """One of three values: up to a stride of 3 (a first convolution), up to 6, and beyond."""
    return shallow if stride < 3 else middle if stride < 6 else deep


APPROACHES: dict[str, Approach] = {
    "pixels": Approach(_pixels, _pixels_stages),
    # A photograph may have any contrast; all frequencies count, not only those that natural images favour.
    "fourier": Approach(lambda _: {"contrast": math.inf, "decay": 1.0}, _fourier_stages),
    # The photograph may be of any contrast. Latents are few, so that Adam's steps may be small and still suffice.
    "decoder": Approach(lambda _: {"limit": 3.0}, lambda _: [{"steps": 200, "learning_rate": 0.05} | ADAM]),
    "deep-image": Approach(lambda _: {}, lambda _: [{"steps": 500, "learning_rate": 0.01} | ADAM]),
}
"""By the prior's name."""

DECODED = ("fourier", "pixels", "pyramid", "decoder")
"""Priors that can start from any picture, and so from a decoder's estimate."""

OTHERS = Approach(lambda _: {}, lambda _: [{"steps": 500} | ADAM])
"""For all other priors, which keep their own options and learning rate."""

EXAGGERATIONS: dict[str, Approach] = {
    "fourier": Approach(lambda _: {}, lambda _: [{"steps": 40, "learning_rate": 0.15}])
}
"""For caricatures, by the prior's name: they start from noise and have no end, and larger steps burn them."""
EXAGGERATION = Approach(lambda _: {}, lambda _: [{"steps": 40}])
"""For caricatures with any other prior."""


def best(stride: float) -> str:
    """The prior of `--prior auto` at a depth.

    For codes with a position at least every 6 pixels, pixels with total variation come closest to the picture. For
    coarser ones, the Fourier prior comes closer both to the code and to the picture.

    Args:
        stride: of the code, in pixels.

    Returns:
        A prior's name.
    """
    return "pixels" if stride < 6 else "fourier"


def planned(
    stages: Sequence[dict[str, Any]], steps: int | None, learning_rate: float | None, augmented: bool
) -> list[dict[str, Any]]:
    """Stages with the user's steps and learning rate.

    Args:
        stages: those of an `Approach`.
        steps: of all stages together; None for their own.
        learning_rate: of Adam; None for its own.
        augmented: True for random transforms: L-BFGS needs a deterministic loss, so Adam takes all steps.

    Returns:
        The stages that have any steps.

    Example:
        >>> own = [{"steps": 150, "optimizer": "lbfgs"}, {"steps": 50, "learning_rate": 0.1}]
        >>> planned(own, steps=8, learning_rate=None, augmented=False)
        [{'steps': 6, 'optimizer': 'lbfgs'}, {'steps': 2, 'learning_rate': 0.1}]
    """
    total = sum(stage["steps"] for stage in stages)
    if augmented:
        stages = [stage | {"steps": total} for stage in stages if stage.get("optimizer", "adam") == "adam"]
    plan, given, done = [], 0, 0
    for stage in stages:
        done += stage["steps"]
        upto = done if steps is None else round(steps * done / total)
        stage = stage | {"steps": upto - given}
        if learning_rate is not None and stage.get("optimizer", "adam") == "adam":
            stage["learning_rate"] = learning_rate
        if stage["steps"] or steps == 0:  # 0 steps are an error that the engine reports
            plan.append(stage)
        given = upto
    return plan


def is_learned(prior: object) -> bool:
    """True for the prior of one-pass pre-images, with or without a file."""
    return isinstance(prior, str) and prior.partition(":")[0].strip() == LEARNED


def weights_of(prior: str) -> str | None:
    """The file of `learned:weights=FILE`; None for `learned` alone.

    Args:
        prior: as the user writes it.

    Raises:
        BadInput: for another option.
    """
    _, options = parse_options(prior, "prior")
    if other := sorted(options.keys() - {"weights"}):
        raise BadInput(f"prior {LEARNED} has no option {other[0]!r}; expected {LEARNED}:weights=FILE")
    weights = options.get("weights")
    return None if weights is None else str(weights)
