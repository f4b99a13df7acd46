"""A percentile of a unit's values in pictures, as a value for a change to exceed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inverter import Model, evaluate
from inverter_errors import BadInput
from recipes.options.targets import Target
from recipes.pictures.sets import picture_set

TOGETHER = 16
"""Pictures in one forward pass."""


def percentile_of(model: Model, target: Target, places: Sequence[str], percent: float, size: tuple[int, int]) -> float:
    """The value of a target that so many percent of some pictures have less than.

    Args:
        model: the network.
        target: of it, resolved.
        places: files and folders.
        percent: from 0 to 100.
        size: (height, width) of the pictures in pixels.

    Raises:
        MissingFile: for a place that does not exist.
        BadInput: if none of the pictures can be read.
    """
    values: list[float] = []
    for batch in picture_set(places, len(model.mean), model.value_range).batches(size, TOGETHER):
        if batch.indices:
            values += evaluate(model, target.objective(model, batch.images), batch.images).tolist()
    if not values:
        raise BadInput(f"among: none of the pictures in {', '.join(places)} can be read")
    return float(np.percentile(values, percent))
