"""Non-negative components of activations: the concept bank of CRAFT, and the amounts of its concepts anywhere."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from inverter_errors import BadInput, plural
from recipes.concepts.separation import scikit_learn

Array = np.ndarray[Any, Any]


def concept_bank(activations: Array, count: int, seed: int = 0) -> Array:
    """The concepts W of a non-negative matrix factorisation A ~ U W (Fel et al. 2023, eq. 1).

    Args:
        activations: A of the crops, (N, C), none below 0.
        count: number K of concepts.
        seed: of the initialisation.

    Returns:
        (K, C) float32, none below 0.

    Raises:
        BadInput: for negative activations, or more concepts than crops or channels.
        MissingLibrary: without scikit-learn.

    Example:
        >>> concept_bank(np.eye(4, 3, dtype=np.float32), 2).shape
        (2, 3)
    """
    matrix = _positive(activations)
    if count > (most := min(matrix.shape)):
        raise BadInput(
            f"count {count}: there are {plural(len(matrix), 'crop')} and {plural(matrix.shape[1], 'channel')}; "
            f"expected at most {most}, or more pictures"
        )
    with _quiet():
        found = scikit_learn("decomposition").NMF(count, random_state=seed).fit(matrix)
    bank: Array = found.components_.astype(np.float32)
    if not bank.any(1).all():
        raise BadInput(f"count {count}: only {plural(int(bank.any(1).sum()), 'component')} of these are not empty")
    return bank


def amounts(activations: Array, bank: Array) -> Array:
    """The amounts U of each concept in activations, the U >= 0 of least |A - U W|.

    Args:
        activations: A, (N, C), none below 0.
        bank: W, (K, C).

    Returns:
        (N, K) float32.

    Raises:
        BadInput: for negative activations.

    Example:
        >>> amounts(np.array([[2.0, 0.0, 3.0]], np.float32), np.eye(2, 3, dtype=np.float32)).round(2)
        array([[2., 0.]], dtype=float32)
    """
    with _quiet():
        found, _, _ = scikit_learn("decomposition").non_negative_factorization(
            _positive(activations), H=bank, n_components=len(bank), update_H=False, init=None
        )
    return np.asarray(found, np.float32)


def _positive(activations: Array) -> Array:
    matrix = np.ascontiguousarray(activations, np.float32)
    if (lowest := float(matrix.min(initial=0.0))) < 0:
        raise BadInput(
            f"the layer's activations reach {lowest:.3g}, and components are of activations of 0 and above: choose a "
            "layer after a ReLU"
        )
    return matrix


def _quiet() -> warnings.catch_warnings[None]:
    """A context without the warnings of a factorisation that stopped at its last iteration: its error is recorded."""
    return warnings.catch_warnings(action="ignore")
