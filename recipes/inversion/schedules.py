"""How `inverter invert` makes a pre-image: what suits each prior at each depth, and which prior each depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

AUTO = "auto"
SLOWLY = {"schedule": "cosine", "momentum": 0.9}
"""How Adam comes nearest to a code: there is no chance in it, so what moved it before is worth keeping."""


@dataclass(frozen=True)
class Approach:
    """What suits a prior for pre-images; both may depend on the stride of the code.

    Attributes:
        options: stride -> the prior's options, where the user gives none.
        stages: stride -> fields of `inverter.Settings`, for one stage after the other.
    """

    options: Callable[[float], dict[str, Any]]
    stages: Callable[[float], list[dict[str, Any]]]


def _pixels(stride: float) -> dict[str, Any]:
    # The deeper, the more the code leaves open, and the more has to be decided by smoothness.
    return {"total_variation": _by_depth(stride, 0.3, 1.0, 4.0), "spread": 0.01}


def _pixels_stages(stride: float) -> list[dict[str, Any]]:
    return [{"steps": _by_depth(stride, 200, 300, 700), "learning_rate": _by_depth(stride, 0.05, 0.1, 0.1)} | SLOWLY]


def _fourier_stages(stride: float) -> list[dict[str, Any]]:
    """First L-BFGS, which finds the picture, then Adam, which finds what little the code still lacks.

    Adam alone reaches the code as well, but with a picture that has less of the original in it: it moves all
    coefficients alike, those that the code hardly speaks of too.
    """
    return [
        {"steps": 250, "optimizer": "lbfgs", "learning_rate": 1.0},
        # A vector speaks of so little that large steps only stir the picture.
        {"steps": 150, "learning_rate": 0.07 if stride < 64 else 0.02} | SLOWLY,
    ]


def _by_depth(stride: float, shallow: float, middle: float, deep: float) -> Any:
    """One of three values: up to a stride of 3 (a first convolution), up to 6, and beyond."""
    return shallow if stride < 3 else middle if stride < 6 else deep


APPROACHES: dict[str, Approach] = {
    "pixels": Approach(_pixels, _pixels_stages),
    # A photograph may have any contrast; all frequencies have to be found, rather than those that nature prefers.
    "fourier": Approach(lambda _: {"contrast": math.inf, "decay": 1.0}, _fourier_stages),
    "deep-image": Approach(lambda _: {}, lambda _: [{"steps": 500, "learning_rate": 0.01} | SLOWLY]),
}
"""By the prior's name."""

DECODED = ("fourier", "pixels", "pyramid")
"""Priors that can start from any picture, and so from a decoder's guess at that of the code."""

OTHERS = Approach(lambda _: {}, lambda _: [{"steps": 500} | SLOWLY])
"""What every other prior gets: its own options and learning rate."""


def best(stride: float) -> str:
    """The name of the prior that `--prior auto` takes at this depth.

    As long as a code has a position for every 6 pixels or so, pixels with total variation come nearest to the picture;
    where it says less of where things are, the Fourier prior comes nearer to the code and to the picture.
    """
    return "pixels" if stride < 6 else "fourier"


def planned(
    stages: Sequence[dict[str, Any]], steps: int | None, learning_rate: float | None, chance: bool
) -> list[dict[str, Any]]:
    """The stages as the user wants them.

    Args:
        steps: of all stages together; None for their own. learning_rate: of Adam; None for its own.
        chance: True where pictures are augmented: only Adam bears that.

    Example:
        >>> own = [{"steps": 150, "optimizer": "lbfgs"}, {"steps": 50, "learning_rate": 0.1}]
        >>> planned(own, steps=8, learning_rate=None, chance=False)
        [{'steps': 6, 'optimizer': 'lbfgs'}, {'steps': 2, 'learning_rate': 0.1}]
    """
    total = sum(stage["steps"] for stage in stages)
    if chance:
        stages = [stage | {"steps": total} for stage in stages if stage.get("optimizer", "adam") == "adam"]
    plan, given, done = [], 0, 0
    for stage in stages:
        done += stage["steps"]
        upto = done if steps is None else round(steps * done / total)
        stage = stage | {"steps": upto - given}
        if learning_rate is not None and stage.get("optimizer", "adam") == "adam":
            stage["learning_rate"] = learning_rate
        if stage["steps"] or steps == 0:  # no steps at all is an error that the engine tells
            plan.append(stage)
        given = upto
    return plan
