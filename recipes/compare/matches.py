"""The units of two layers that respond to the same: each unit's most correlated unit of the other layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recipes.compare.moments import Moments, total

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Match:
    """A unit and the unit of another layer that is its best match, in both directions.

    Attributes:
        unit: index in the first layer.
        other: index in the second layer.
        correlation: of both on the held-out half of the pictures, in [-1, 1].
    """

    unit: int
    other: int
    correlation: float


@dataclass(frozen=True)
class Matching:
    """The best matches of two layers' units, chosen on one half of the pictures and measured on the other.

    After Li et al. 2016, "Convergent learning", section 3: semi-matching by the correlation of activations.

    Attributes:
        forward: mean correlation of the first layer's units with their best matches in the second.
        back: of the second layer's units with theirs in the first.
        mutual: share of the first layer's units whose best match has them as its best match.
        best: these pairs, the most correlated first.
    """

    forward: float
    back: float
    mutual: float
    best: Sequence[Match]


def match_units(x: Sequence[Moments], xy: Sequence[Moments], y: Sequence[Moments]) -> Matching:
    """Matches the units of two layers.

    Args:
        x: moments of the first layer with itself, for each of the four parts.
        xy: of both layers.
        y: of the second with itself.

    Returns:
        The matching. Units that never change in one of the halves count as uncorrelated, and match none.
    """
    seen = _correlation(*(total(each[:2]) for each in (x, xy, y)))
    held_out = _correlation(*(total(each[2:]) for each in (x, xy, y)))
    forward, back = seen.argmax(1), seen.argmax(0)
    units, others = np.arange(len(forward)), np.arange(len(back))
    mutual = (back[forward] == units) & (seen[units, forward] > 0)
    pairs = [Match(int(i), int(forward[i]), float(held_out[i, forward[i]])) for i in units[mutual]]
    return Matching(
        float(held_out[units, forward].mean()),
        float(held_out[back, others].mean()),
        float(mutual.mean()),
        sorted(pairs, key=lambda pair: -pair.correlation),
    )


def _correlation(x: Moments, xy: Moments, y: Moments) -> Array:
    """The correlation of each unit of x with each of y, (p, q); 0 for units that never change."""
    wide, high = (np.sqrt(np.diag(each.centred).clip(0)) for each in (x, y))
    both = np.outer(wide, high)
    live = np.outer(wide > 1e-9 * wide.max(initial=0.0), high > 1e-9 * high.max(initial=0.0))
    found: Array = np.where(live, xy.centred / np.where(live, both, 1.0), 0.0)
    return found
