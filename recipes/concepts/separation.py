"""Concept activation vectors: what separates the activations of a concept's pictures from those of others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from inverter_errors import BadInput, MissingLibrary, plural
from recipes.concepts.choices import Separator

Array = np.ndarray[Any, Any]

HELD_OUT = 0.33
"""Share of the pictures that the accuracy is measured on, as in the authors' code and in Captum."""
LEAST = 4
"""Fewest pictures of a concept that can be separated and tested."""
SGD = {"alpha": 0.01, "max_iter": 1000, "tol": 1e-3}
"""Captum's options of the linear SVM."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A half-space of a layer's activations, the side of a concept: those x with `x @ vector + bias > 0`.

    Attributes:
        vector: (F,), the concept activation vector, as the solver scales it.
        bias: its threshold.
        accuracy: share of the held-out activations on their side, in [0, 1].
    """

    vector: Array
    bias: float
    accuracy: float


def separate(concept: Array, others: Array, how: Separator = "logistic", seed: int = 0) -> Cut:
    """A concept activation vector with its held-out accuracy (Kim et al. 2018, section 3.1).

    A third of each set is held out; the vector is found on the rest. For "logistic" the activations are divided by one
    number, their standard deviation, so that the penalty means the same in every layer.

    Args:
        concept: activations of the concept's pictures, (P, F).
        others: activations of other pictures, (Q, F).
        how: logistic (regression with an L2 penalty), sgd (a linear SVM on the activations as they are) or difference
            (of the two means, cut half way between them).
        seed: of the split, and of SGD.

    Returns:
        The cut, of which the vector points to the concept.

    Raises:
        BadInput: for fewer than `LEAST` rows.
        MissingLibrary: without scikit-learn.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> cut = separate(draw.normal(2, 1, (30, 3)), draw.normal(-2, 1, (30, 3)))
        >>> cut.accuracy, bool((cut.vector > 0).all())
        (1.0, True)
    """
    sets = (np.asarray(concept, np.float64), np.asarray(others, np.float64))
    for rows in sets:
        if len(rows) < LEAST:
            raise BadInput(f"concept vectors need at least {LEAST} pictures on each side, got {len(rows)}")
    draw = np.random.default_rng(seed)
    orders = [draw.permutation(len(rows)) for rows in sets]
    held = [max(1, int(HELD_OUT * len(rows))) for rows in sets]
    test = [rows[order[:count]] for rows, order, count in zip(sets, orders, held, strict=True)]
    train = [rows[order[count:]] for rows, order, count in zip(sets, orders, held, strict=True)]
    vector, bias = _fit(train[0], train[1], how, seed)
    sides = np.concatenate([test[0] @ vector + bias > 0, test[1] @ vector + bias <= 0])
    return Cut(vector, bias, float(sides.mean()))


def mean_cut(cuts: list[Cut]) -> Cut:
    """The mean of several cuts, each scaled to a vector of norm 1; its own vector has norm 1, its accuracy is theirs.

    Args:
        cuts: of one concept, against several sets of others.

    Raises:
        BadInput: if a vector is zero, or they cancel.
    """
    lengths = [float(np.linalg.norm(cut.vector)) for cut in cuts]
    if not all(lengths):
        raise BadInput("the activations of a concept and of the others are the same, so that no vector separates them")
    vector = np.mean([cut.vector / length for cut, length in zip(cuts, lengths, strict=True)], axis=0)
    bias = float(np.mean([cut.bias / length for cut, length in zip(cuts, lengths, strict=True)]))
    length = float(np.linalg.norm(vector))
    if length < 1e-9:
        raise BadInput(f"the {plural(len(cuts), 'vector')} of a concept cancel: give more pictures of it")
    return Cut(vector / length, bias / length, float(np.mean([cut.accuracy for cut in cuts])))


def _fit(concept: Array, others: Array, how: Separator, seed: int) -> tuple[Array, float]:
    """The vector and the bias of a cut, on all of the rows."""
    if how == "difference":
        vector = concept.mean(0) - others.mean(0)
        return vector, float(-vector @ (concept.mean(0) + others.mean(0)) / 2)
    linear = scikit_learn("linear_model")
    rows, sides = np.concatenate([concept, others]), np.repeat([1, 0], [len(concept), len(others)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence: the accuracy says how good the cut is
        if how == "sgd":
            found = linear.SGDClassifier(**SGD, random_state=seed).fit(rows, sides)
            return found.coef_[0], float(found.intercept_[0])
        middle, spread = rows.mean(0), float(rows.std()) or 1.0
        found = linear.LogisticRegression(max_iter=1000).fit((rows - middle) / spread, sides)
    vector = found.coef_[0] / spread
    return vector, float(found.intercept_[0] - vector @ middle)


def scikit_learn(module: str) -> Any:
    """A module of scikit-learn.

    Args:
        module: its name below `sklearn`.

    Raises:
        MissingLibrary: if it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(f"sklearn.{module}")
    except ModuleNotFoundError as error:
        raise MissingLibrary("concepts need scikit-learn: pip install 'inverter-vis[concepts]'") from error
