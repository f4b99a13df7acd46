"""Linear CKA: how alike two layers represent the same inputs, whatever the directions in which they do."""

from __future__ import annotations

from typing import Any

import numpy as np

from recipes.compare.moments import Moments

Array = np.ndarray[Any, Any]


def cka(x: Moments, xy: Moments, y: Moments) -> float:
    """Linear centred kernel alignment (Kornblith et al. 2019, "Similarity of neural network representations", eq. 4).

    With X (n, p) and Y (n, q) centred, it is |X^T Y|^2 / (|X^T X| |Y^T Y|) in Frobenius norms: 1 for the same
    representation up to rotation and scale, 0 for uncorrelated ones. With few rows and many features it is too high;
    `debiased_cka` is not.

    Args:
        x: moments of the first layer with itself.
        xy: of both layers.
        y: of the second with itself.

    Returns:
        In [0, 1]; not a number if a layer is constant.

    Example:
        >>> from recipes.compare.moments import moments, total
        >>> own = total(moments(np.random.default_rng(0).normal(size=(8, 1, 3))))
        >>> round(cka(own, own, own), 6)
        1.0
    """
    return _ratio(*(float((each.centred**2).sum()) for each in (x, xy, y)))


def debiased_cka(x: Moments, xy: Moments, y: Moments, x_norms: Array, y_norms: Array) -> float:
    """Linear CKA from unbiased estimates of HSIC (Song et al. 2012, eq. 5; Nguyen et al. 2021, eq. 3).

    With K = X X^T and L = Y Y^T without their diagonals,

        HSIC = [tr(K L) + (1^T K 1)(1^T L 1) / ((n-1)(n-2)) - 2 (1^T K L 1) / (n-2)] / (n (n-3)).

    It does not change when X is centred; then 1^T K 1 = -sum |x_i|^2, 1^T K L 1 = sum |x_i|^2 |y_i|^2, and
    tr(K L) = |X^T Y|^2 - sum |x_i|^2 |y_i|^2, so that no matrix of n times n is needed.

    Args:
        x: moments of the first layer with itself.
        xy: of both layers.
        y: of the second with itself.
        x_norms: |x_i|^2 of the centred rows, (n,).
        y_norms: |y_i|^2 of the centred rows, (n,).

    Returns:
        At most 1 in expectation; about 0 for independent representations, also below. Not a number if a layer is
        constant, or for fewer than four rows.
    """
    return _ratio(_hsic(x, x_norms, x_norms), _hsic(xy, x_norms, y_norms), _hsic(y, y_norms, y_norms))


def _hsic(xy: Moments, x_norms: Array, y_norms: Array) -> float:
    """Unbiased HSIC, without the factor 1 / (n (n - 3)), which CKA cancels."""
    n = xy.count
    if n < 4:
        return float("nan")
    both = float(x_norms @ y_norms)
    ends = float(x_norms.sum() * y_norms.sum()) / ((n - 1) * (n - 2))
    return float((xy.centred**2).sum()) - both + ends - 2 * both / (n - 2)


def _ratio(x: float, xy: float, y: float) -> float:
    return xy / float(np.sqrt(x * y)) if x > 0 and y > 0 else float("nan")
