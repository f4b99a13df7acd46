"""The linear map between two layers: ridge regression from moments, with its error on pictures that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recipes.compare.moments import Moments, total

Array = np.ndarray[Any, Any]

PENALTIES = tuple(10.0**power for power in range(-7, 3))
"""Penalties that are tried, in units of the mean variance of an input feature."""
FLAT = 1e-12
"""Inputs whose variance is below this share of the largest have none."""


@dataclass(frozen=True)
class Fit:
    """A learnt linear map's quality.

    Attributes:
        error: sum of the squared errors on the held-out half of the pictures over that of predicting the mean: 0 is
            perfect, 1 what a constant achieves. 1 - error is the explained variance.
        penalty: the chosen one of PENALTIES.
    """

    error: float
    penalty: float


class Ridge:
    """Ridge regressions y = x A + b from one set of features x, on any others.

    Two parts of the pictures are learnt from and the other two predicted. The penalty is the one with the least error
    when each of the first two parts is predicted from the other.

    Args:
        x: moments of x with itself, for each of the four parts.
    """

    def __init__(self, x: Sequence[Moments]) -> None:
        self._first, self._second = _Solver(x[0], x[1]), _Solver(x[1], x[0])
        self._parts = list(x)

    @cached_property
    def _all(self) -> _Solver:
        return _Solver(total(self._parts[:2]), total(self._parts[2:]))

    def fit(self, xy: Sequence[Moments], y: Sequence[Moments]) -> Fit:
        """The map to another set of features.

        Args:
            xy: moments of x with y, for each of the four parts.
            y: of y with itself.

        Returns:
            Its error, and the penalty.
        """
        tried = self._first.errors(xy[0], xy[1], y[1]) + self._second.errors(xy[1], xy[0], y[0])
        best = int(np.argmin(tried))
        learnt, unseen = total(xy[:2]), total(xy[2:])
        error = self._all.errors(learnt, unseen, total(y[2:]), PENALTIES[best : best + 1])[0]
        return Fit(float(error) / max(variation(total(y[2:])), 1e-300), PENALTIES[best])


class _Solver:
    """The regressions from x that are learnt on some rows and predict others, in the basis of x's covariance."""

    def __init__(self, learnt: Moments, unseen: Moments) -> None:
        self.mean = learnt.x / learnt.count
        values, self.basis = np.linalg.eigh(learnt.centred)
        self.values = values.clip(0)
        self.unseen = self.basis.T @ unseen.about(self.mean, self.mean) @ self.basis

    def errors(self, learnt: Moments, unseen: Moments, y: Moments, penalties: Sequence[float] = PENALTIES) -> Array:
        """The sum of squared errors on the unseen rows, for each penalty."""
        mean = learnt.y / learnt.count
        # With the row's y and x about the means that were learnt: |y|^2 - 2 y . x A + |x A|^2.
        base = float(np.trace(y.about(mean, mean)))
        target = self.basis.T @ learnt.centred
        cross = ((self.basis.T @ unseen.about(self.mean, mean)) * target).sum(1)
        square = self.unseen * (target @ target.T)
        found = []
        for penalty in penalties:
            scale = self.values + penalty * max(self.values.mean(), 1e-300)
            shrunk = np.where(self.values > FLAT * self.values.max(initial=0.0), 1 / scale, 0.0)
            found.append(base - 2 * float(shrunk @ cross) + float(shrunk @ square @ shrunk))
        return np.array(found)


def variation(y: Moments) -> float:
    """The sum of the squared distances of the rows from their mean."""
    return float(np.trace(y.centred))


def identity_error(x: Moments, xy: Moments, y: Moments) -> float:
    """The sum of |y - x|^2 over that of |y - mean|^2: the error of the identity map, relative as `Fit.error`.

    Args:
        x: moments of x with itself.
        xy: of x with y, which has as many features.
        y: of y with itself.
    """
    squared = np.trace(x.xy) - 2 * np.trace(xy.xy) + np.trace(y.xy)
    return float(squared) / max(variation(y), 1e-300)


def chance_error(x: Moments, y: Moments) -> float:
    """The expected error of the identity map if each y is paired with the x of a random row, relative as `Fit.error`.

    Args:
        x: moments of x with itself.
        y: of y with itself, which has as many features.
    """
    apart = float(((x.x / x.count - y.y / y.count) ** 2).sum()) * y.count
    return (variation(x) * y.count / x.count + variation(y) + apart) / max(variation(y), 1e-300)
