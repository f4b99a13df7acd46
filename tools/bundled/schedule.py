"""The learning rate of both trainings."""

from __future__ import annotations

import math


def one_cycle(step: int, steps: int, rise: float, cycle: float, landing: float) -> float:
    """The fraction in [0, 1] of the peak rate at `step` of `steps`: one cosine cycle with a linear decay at the end.

    The cycle (Smith & Topin 2019) rises from .04 to 1 in its first fraction `rise` and falls to 0 in the rest. It lasts
    `cycle` (>= 1) times the steps, and is decayed linearly to 0 over the last fraction `landing` of them.
    """
    at = step / (cycle * steps)
    up = 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * at / rise))
    down = 0.5 * (1 + math.cos(math.pi * (at - rise) / (1 - rise)))
    return (up if at < rise else down) * min(1.0, (steps - step) / (landing * steps))
