"""TCAV: how a class's logit changes along a concept's vector, and whether that differs from random vectors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from inverter import Model
from objectives import Objective
from objectives.units import as_map
from recipes.attribution.scoring.layers import layer_gradient

Array = np.ndarray[Any, Any]


def sensitivity_gradients(model: Model, images: Tensor, target: Objective, layer: str, pooled: bool) -> Array:
    """The gradient of a target with respect to a layer's activation, in the form in which concepts are separated.

    Args:
        model: the network.
        images: (B, C, H, W) in [0, 1].
        target: with one target, or one for each image.
        layer: address of a layer with maps or vectors.
        pooled: True sums over the places: the derivative as all of them move together, by which a vector of pooled
            activations acts. False keeps them all.

    Returns:
        (B, F) float32: F the channels, or all values of the layer.

    Raises:
        BadInput: if the target does not depend on the layer.
    """
    _, gradient = layer_gradient(model, images, target, layer)
    maps = as_map(gradient, layer).float()
    found: Array = (maps.sum((2, 3)) if pooled else maps.flatten(1)).cpu().numpy()
    return found


def tcav_scores(gradients: Array, vectors: Array) -> tuple[Array, Array]:
    """TCAV scores of several concept vectors (Kim et al. 2018, eq. 1 and 2).

    The conceptual sensitivity S = gradient . vector is the directional derivative of the logit. The score is the share
    of the pictures with S > 0; its magnitude is their mean S.

    Args:
        gradients: of one class's pictures, (B, F).
        vectors: concept activation vectors, (R, F).

    Returns:
        The scores (R,) in [0, 1] and the magnitudes (R,).

    Example:
        >>> tcav_scores(np.array([[1.0, 0.0], [1.0, -3.0]]), np.array([[1.0, 0.0], [1.0, 1.0]]))
        (array([1. , 0.5]), array([ 1. , -0.5]))
    """
    sensitivities = np.asarray(gradients, np.float64) @ np.asarray(vectors, np.float64).T
    return (sensitivities > 0).mean(0), sensitivities.mean(0)


@dataclass(frozen=True)
class Tested:
    """The TCAV score of a concept for a class at a layer, against random vectors.

    Attributes:
        score: mean over the concept's vectors, in [0, 1].
        spread: standard deviation over them.
        random: mean score of the random vectors.
        random_spread: their standard deviation.
        magnitude: mean directional derivative along the concept's vectors of norm 1.
        p: probability of such a difference of the means if there is none (two-sided t-test).
    """

    score: float
    spread: float
    random: float
    random_spread: float
    magnitude: float
    p: float


def compare_with_random(gradients: Array, concept: Array, random: Array) -> Tested:
    """TCAV with its significance test (Kim et al. 2018, section 3.2: a two-sided t-test against random vectors).

    Args:
        gradients: of one class's pictures, (B, F).
        concept: vectors of the concept against several random sets, (R, F).
        random: vectors of random sets against others, (R, F).

    Returns:
        The scores; `p` is not corrected for other tests.
    """
    scores, magnitudes = tcav_scores(gradients, concept / np.linalg.norm(concept, axis=1, keepdims=True))
    others, _ = tcav_scores(gradients, random)
    return Tested(
        score=float(scores.mean()),
        spread=_spread(scores),
        random=float(others.mean()),
        random_spread=_spread(others),
        magnitude=float(magnitudes.mean()),
        p=difference_probability(scores.tolist(), others.tolist()),
    )


def difference_probability(some: Sequence[float], others: Sequence[float]) -> float:
    """The p value of a two-sided t-test of two means; without any spread, 1 if they are equal and else 0.

    Args:
        some: at least two numbers.
        others: at least two numbers.

    Example:
        >>> round(difference_probability([1, 2, 3], [4, 5, 6]), 4), difference_probability([1, 1], [1, 1])
        (0.0213, 1.0)
    """
    from scipy.stats import ttest_ind  # comes with scikit-learn

    if len({*some}) == len({*others}) == 1:
        return float(some[0] == others[0])
    with warnings.catch_warnings(action="ignore"):  # of one side without any spread
        return float(ttest_ind(some, others).pvalue)


def _spread(values: Array) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
