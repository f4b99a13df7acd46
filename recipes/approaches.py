"""How `inverter invert` makes a pre-image: what suits each prior at each depth, and which prior each depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

AUTO = "auto"
Size = tuple[int, int]


@dataclass(frozen=True)
class Approach:
    """What suits a prior for pre-images; both may depend on the stride of the code.

    Attributes:
        options: stride -> the prior's options, where the user gives none.
        settings: stride -> fields of `inverter.Settings`.
    """

    options: Callable[[float], dict[str, Any]]
    settings: Callable[[float], dict[str, Any]]


def stride(shape: Sequence[int], size: Size) -> float:
    """How deep a code sits: pixels of the picture's side for each of its positions; for a vector the whole side.

    Args:
        shape: of the code, (B, C, H, W) or any other; size: (height, width) of the picture.

    Example:
        >>> stride((1, 96, 109, 109), (218, 218)), stride((1, 1000), (218, 218))
        (2.0, 218.0)
    """
    positions = math.prod(shape[2:]) if len(shape) == 4 else 1
    return math.sqrt(math.prod(size) / positions)


def _pixels(stride: float) -> dict[str, Any]:
    # The deeper, the more the code leaves open, and the more has to be decided by smoothness.
    return {"total_variation": _by_depth(stride, 0.3, 1.0, 4.0), "spread": 0.01}


def _pixels_settings(stride: float) -> dict[str, Any]:
    return {"steps": _by_depth(stride, 200, 300, 700), "learning_rate": _by_depth(stride, 0.05, 0.2, 0.1)}


def _fourier_settings(stride: float) -> dict[str, Any]:
    return {"steps": _by_depth(stride, 300, 300, 650), "learning_rate": 0.2}


def _by_depth(stride: float, shallow: float, middle: float, deep: float) -> Any:
    """One of three values: up to a stride of 3 (a first convolution), up to 6, and beyond."""
    return shallow if stride < 3 else middle if stride < 6 else deep


APPROACHES: dict[str, Approach] = {
    "pixels": Approach(_pixels, _pixels_settings),
    # A photograph may have any contrast.
    "fourier": Approach(lambda _: {"contrast": math.inf}, _fourier_settings),
    "deep-image": Approach(lambda _: {}, lambda _: {"steps": 800, "learning_rate": 0.01}),
}
"""By the prior's name."""

OTHERS = Approach(lambda _: {}, lambda _: {"steps": 500})
"""What every other prior gets: its own options and learning rate."""


def best(stride: float) -> str:
    """The name of the prior that `--prior auto` takes at this depth.

    As long as a code has a position for every 6 pixels or so, pixels with total variation come nearest to it; where it
    says less of where things are, the Fourier prior comes nearer, and its pictures are the more natural ones.
    """
    return "pixels" if stride < 6 else "fourier"
