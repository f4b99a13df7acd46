"""Groups of a unit's patches by what drives it in each, and how mixed the unit is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from inverter_errors import MissingLibrary
from recipes.gallery.facet_groups import largest_first

SHUFFLES = 10
"""Shuffled sets that the grouping is compared with."""
SMALLEST = 0.1
"""Share of the patches that a group must have: fewer are exceptions, and no second meaning."""
STARTS = 5
"""Of k-means."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Groups:
    """Attribution vectors of a unit's patches in groups.

    Attributes:
        labels: group of each patch, (N,), 0 for the largest; all 0 where no grouping has large enough groups.
        count: number of groups.
        silhouette: mean silhouette of the vectors in [-1, 1] (Rousseeuw 1987), by cosine distances; 0 for one group.
        shuffled: mean of the same over sets in which the values of each channel were shuffled among the patches.
        between: share of the variance of the unit vectors that lies between the groups, in [0, 1].
    """

    labels: Array
    count: int
    silhouette: float
    shuffled: float
    between: float

    @property
    def mixed(self) -> float:
        """How mixed the unit is: how far its silhouette lies above that of shuffled attributions."""
        return self.silhouette - self.shuffled

    def metrics(self) -> dict[str, Any]:
        """JSON values for the manifest."""
        return {
            "groups": self.count,
            "mixed": self.mixed,
            "silhouette": self.silhouette,
            "shuffled": self.shuffled,
            "between": self.between,
        }


def grouped(vectors: Array, most: int, seed: int = 0, shuffles: int = SHUFFLES) -> Groups:
    """Groups attribution vectors by k-means of their directions, k by the silhouette (PURE, Dreyer et al. 2024).

    Args:
        vectors: (N, C), what each channel of the layer before adds to the unit in each patch.
        most: largest number of groups, at least 2.
        seed: of the starts of k-means and of the shuffles.
        shuffles: number of shuffled sets, at least 1.

    Returns:
        The groups of the k from 2 to `most` with the largest silhouette.

    Raises:
        MissingLibrary: without scikit-learn.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> two = np.repeat(generator.random((2, 50)), 8, axis=0) + 0.1 * generator.random((16, 50))
        >>> found = grouped(two, 3)
        >>> found.count, found.labels.tolist() == [0] * 8 + [1] * 8, found.mixed > 0.3
        (2, True, True)
    """
    generator = np.random.default_rng(seed)
    directions = _directions(vectors)
    labels, silhouette = _best(directions, most, seed)
    others = [_best(_directions(generator.permuted(vectors, axis=0)), most, seed)[1] for _ in range(shuffles)]
    labels = largest_first(labels)
    total = float(np.square(directions - directions.mean(0)).sum())
    within = sum(
        float(np.square(directions[labels == each] - directions[labels == each].mean(0)).sum())
        for each in np.unique(labels)
    )
    between = 1 - within / total if total > 0 else 0.0
    return Groups(labels, int(labels.max()) + 1, silhouette, float(np.mean(others)), between)


def _directions(vectors: Array) -> Array:
    directions: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return directions


def _best(directions: Array, most: int, seed: int) -> tuple[Array, float]:
    """The labels with the largest silhouette, and that; one group, and 0, where all groupings have too small groups."""
    try:
        from sklearn.cluster import KMeans
        from sklearn.metrics import silhouette_score
    except ImportError as error:
        raise MissingLibrary("groups of patches need scikit-learn: pip install 'inverter-vis[atlas]'") from error
    best, silhouette = np.zeros(len(directions), dtype=int), 0.0
    distinct = len(np.unique(directions.round(6), axis=0))
    for count in range(2, min(most, distinct, len(directions) - 1) + 1):
        labels = KMeans(count, n_init=STARTS, random_state=seed).fit_predict(directions)
        sizes = np.bincount(labels, minlength=count)
        if sizes.min() < max(2, SMALLEST * len(labels)):
            continue
        found = float(silhouette_score(directions, labels, metric="cosine"))
        if found > silhouette:
            best, silhouette = labels, found
    return best, silhouette
