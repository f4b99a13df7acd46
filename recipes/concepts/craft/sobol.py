"""Total Sobol indices: how much of a score's variance a factor has a part in, by Jansen's estimator."""

from __future__ import annotations

from typing import Any

import numpy as np

from recipes.concepts.separation import scikit_learn

Array = np.ndarray[Any, Any]


def masks(factors: int, designs: int) -> Array:
    """Quasi-random masks of a replicated design, as in the authors' code of CRAFT (Fel et al. 2023).

    The first `designs` rows are A and the next B, the two halves of a Halton sequence; then for each factor A with that
    factor's column of B.

    Args:
        factors: number of factors K.
        designs: number of rows of A.

    Returns:
        ((K + 2) * designs, K) float32 in [0, 1].

    Raises:
        MissingLibrary: without scikit-learn, which brings SciPy.

    Example:
        >>> masks(3, 4).shape
        (20, 3)
    """
    scikit_learn("utils")
    from scipy.stats import qmc

    drawn = qmc.Halton(2 * factors, scramble=False).random(designs).astype(np.float32)
    first, second = drawn[:, :factors], drawn[:, factors:]
    replicated = np.repeat(first[None], factors, axis=0)
    for factor in range(factors):
        replicated[factor, :, factor] = second[:, factor]
    return np.concatenate([first, second, replicated.reshape(-1, factors)])


def total_indices(scores: Array, factors: int) -> Array:
    """Total Sobol indices of the factors (Jansen 1999; Fel et al. 2023, eq. 5).

    The index of factor k is E[(f(A) - f(A with k of B))^2] / (2 Var f(A)): the share of the variance that would be left
    if all factors but k were fixed.

    Args:
        scores: f of each row of `masks`, ((K + 2) * designs,).
        factors: K.

    Returns:
        (K,) float64, 0 and above; all zero for a constant score.

    Example:
        >>> design = masks(2, 256)
        >>> total_indices(3 * design[:, 0], 2).round(1)
        array([1., 0.])
    """
    parts = np.asarray(scores, np.float64).reshape(factors + 2, -1)
    first, replicated = parts[0], parts[2:]
    variance = first.var(ddof=1)
    if not variance > 0:
        return np.zeros(factors)
    found: Array = ((first - replicated) ** 2).mean(1) / (2 * variance)
    return found
