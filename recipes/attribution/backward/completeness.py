"""Does a map sum to what it distributes? A line says how much is missing, and through which operations it went."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch
from torch import Tensor

TOLERANCE = 0.01
"""Largest gap, as a share of what is distributed."""
ROUNDING = 1e-4
"""Largest gap, as a share of the sum of the magnitudes of a map."""


def warn_of_gap(method: str, maps: Tensor, expected: Tensor, what: str, without_rule: Iterable[str]) -> None:
    """Warns in one line if maps do not sum to what they distribute.

    Args:
        method: its name.
        maps: (B, H, W).
        expected: what the maps distribute, (B,).
        what: the name of that.
        without_rule: names of the operations that may be the reason.
    """
    sums, sizes = maps.flatten(1).sum(1), maps.flatten(1).abs().sum(1)
    gap = (sums - expected).abs()
    allowed = TOLERANCE * expected.abs() + ROUNDING * sizes + 1e-6
    if bool((gap <= allowed).all()):
        return
    row = int((gap / allowed).nan_to_num(torch.inf).argmax())
    names = ", ".join(without_rule)
    reason = f"; without a rule: {names}" if names else ""
    warnings.warn(
        f"{method}: a map sums to {float(sums[row]):.4g}, and {what} is {float(expected[row]):.4g}: "
        f"{float(gap[row]):.4g} is missing{reason}",
        stacklevel=2,
    )
