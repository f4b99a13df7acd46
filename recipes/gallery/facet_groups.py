"""The several things that a unit responds to: its strongest natural pictures in groups (Nguyen et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter.batching import pictures_at_once
from inverter_errors import MissingLibrary
from objectives.units import as_map
from recipes.activations.map_geometry import covered
from recipes.activations.responses import PatchRecord
from recipes.gallery.dataset_examples import DatasetExamples, PicturePart
from recipes.runner.units import Unit

PICTURES = 32
"""Pictures of a unit that are grouped, at most."""
SMALLEST = 2
"""Pictures for each group that there must be: with fewer of them a unit gets fewer groups."""
STARTS = 5
"""Of k-means."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Facet:
    """A group of a unit's strongest pictures.

    Attributes:
        patches: the group's, strongest first.
        shown: the same patches, as pictures with the part that the unit sees.
        vector: (C,), their mean code less that of all the unit's pictures; all 0 if there is no difference.
        mean: (C,), the mean code of all the unit's pictures.
    """

    patches: Sequence[PatchRecord]
    shown: Sequence[PicturePart]
    vector: Tensor
    mean: Tensor

    def average(self, size: tuple[int, int]) -> Tensor:
        """The mean of the parts that the unit sees, each scaled to a size, (C, *size) in [0, 1]."""
        parts = [picture[None, :, top:bottom, left:right] for picture, (top, left, bottom, right) in self.shown]
        scaled = [F.interpolate(part, size, mode="bilinear", antialias=True, align_corners=False) for part in parts]
        return torch.cat(scaled).mean(0).clamp(0, 1)


def most_facets(examples: DatasetExamples, unit: Unit, count: int) -> int:
    """How many of `count` groups a unit's strongest pictures suffice for, at least 1.

    Args:
        examples: the responses to the set of pictures.
        unit: of one of its layers.
        count: of groups.

    Raises:
        MissingLibrary: without scikit-learn.
    """
    _clustering()
    return max(1, min(count, len(examples.strongest(unit, PICTURES)) // SMALLEST))


def facets_of(model: Model, examples: DatasetExamples, unit: Unit, count: int, layers: tuple[str, str]) -> list[Facet]:
    """Groups a unit's strongest pictures by what a deep layer sees in them.

    The code of a picture is the mean of a layer over the part that the unit sees. Of the deep layer, the directions of
    codes from their mean are grouped by k-means. Where fewer than `count` of them differ, the last group is repeated.

    Args:
        model: the network.
        examples: the responses to the set of pictures.
        unit: with at least `count` pictures that activate it.
        count: of groups.
        layers: addresses of the deep layer, and of the one whose codes distinguish the facets.

    Returns:
        The facets, that of the largest group first.

    Raises:
        MissingLibrary: without scikit-learn.
    """
    patches = examples.strongest(unit, PICTURES)
    shown = examples.parts(unit, patches)
    deep, codes = (_codes(model, shown, layers)[layer] for layer in layers)
    directions = F.normalize(deep - deep.mean(0), dim=1).numpy()
    labels = largest_first(_clustering()(count, n_init=STARTS, random_state=0).fit_predict(directions))
    mean, found = codes.mean(0), []
    for group in range(count):
        members = np.flatnonzero(labels == min(group, labels.max())).tolist()
        vector = codes[members].mean(0) - mean
        found.append(Facet([patches[i] for i in members], [shown[i] for i in members], vector, mean))
    return found


def largest_first(labels: Array) -> Array:
    """Labels (N,) with their groups numbered by size; of equal sizes, the one with the earliest member comes first.

    Example:
        >>> largest_first(np.array([5, 2, 2, 7])).tolist()
        [1, 0, 0, 2]
    """
    _, first, members, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    numbers: Array = np.argsort(np.lexsort((first, -sizes)))[members]
    return numbers


def _codes(model: Model, shown: Sequence[PicturePart], layers: Sequence[str]) -> dict[str, Tensor]:
    """The mean of layers over the part of each picture that counts: layer -> (N, C)."""
    rows: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    size = (shown[0][0].shape[1], shown[0][0].shape[2])
    together = pictures_at_once(model, list(rows), size)
    with model.capture(list(rows)) as capture, torch.no_grad():
        for start in range(0, len(shown), together):
            part = shown[start : start + together]
            seen = capture(model.normalize(torch.stack([picture for picture, _ in part]).to(model.device)))
            for layer, found in rows.items():
                for values, (_, window) in zip(as_map(seen[layer], layer), part, strict=True):
                    found.append(covered(values, window, size).float().mean((1, 2)).cpu())
    return {layer: torch.stack(found) for layer, found in rows.items()}


def _clustering() -> Any:
    try:
        from sklearn.cluster import KMeans
    except ImportError:
        raise MissingLibrary("facets need scikit-learn: pip install 'inverter-vis[atlas]'") from None
    return KMeans
