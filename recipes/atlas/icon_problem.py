"""A batch of an atlas's icons as an optimisation, and once more where an icon is not what its cell is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import receptive_fields
from objectives import direction
from priors import Prior
from recipes.atlas.icon_metrics import FAITHFUL, centres
from recipes.atlas.icon_objective import ICON_PRIOR, icon_objective
from recipes.atlas.layer_choice import AtlasLayer
from recipes.atlas.survey import Survey
from recipes.options.priors import STARTS, PriorChoice
from recipes.runner.units import Problem

SECOND_STEPS = 2
"""Steps of a second try, as a multiple of those of the first."""


def icon_problem(
    layer: AtlasLayer,
    survey: Survey,
    files: Sequence[str],
    choice: PriorChoice,
    *,
    power: float,
    icon: int,
    steps: int | None,
    seed: int,
    second: bool = False,
) -> Problem:
    """The icons of some cells of a layer.

    An icon whose centre has a cosine below `FAITHFUL` to the cell's mean direction is tried once more, and the better
    of the two is kept. From noise, the cosine of some cells is so low at first that only the surroundings grow: the
    second try starts at the mean of the cell's examples, where it is high, and has more steps.

    Args:
        layer: of the atlas.
        survey: the map of the layer.
        files: of the icons, below the folder of the layer's atlas.
        choice: the prior.
        power: exponent of the cosine.
        icon: side of the icons that are written, in pixels.
        steps: of the first try; None for the run's.
        seed: of the noise from which all icons start.
        second: True for the second try.
    """
    model, by_file = layer.model, survey.by_file()
    cells = [by_file[file] for file in files]
    rows = [[grid.means[index] for grid, index in cells], [grid.targets[index] for grid, index in cells]]
    means, targets = torch.from_numpy(np.array(rows))
    size, written = model.nearest_size([layer.address], (icon, icon)), (icon, icon)
    defaults = ICON_PRIOR if choice.name == "fourier" else {}
    if second and choice.name in STARTS:
        prior = choice.at(torch.stack([_mean_example(layer, survey, file, size) for file in files]), **defaults)
    else:
        prior = _from_noise(choice.make(len(files), size, model, **defaults), seed + second)
    return Problem(
        icon_objective(model, layer.address, means, targets, power, size),
        prior,
        direction(layer.address, means, "center", power),
        [{"steps": SECOND_STEPS * steps}] if second and steps else [{}],
        choice.finish(prior, None if size == written else written),
        alpha=choice.alpha,
        model=model,
        faithful=partial(_cosines, layer, means),
        least=FAITHFUL,
    )


def _from_noise(prior: Prior, seed: int) -> Prior:
    """All icons start from the same noise, so that neighbours differ in their directions only."""
    prior.reset([torch.Generator("cpu").manual_seed(seed) for _ in range(prior.count)])
    return prior


def _cosines(layer: AtlasLayer, means: Tensor, images: Tensor) -> Tensor:
    """Of the icons' centres to the mean directions of their cells, (B,)."""
    return F.cosine_similarity(torch.from_numpy(centres(layer.model, layer.address, images)), means, dim=1)


def _mean_example(layer: AtlasLayer, survey: Survey, file: str, size: tuple[int, int]) -> Tensor:
    """The mean of a cell's examples, each of the icon's size around its place, (C, *size)."""
    grid, index = survey.by_file()[file]
    examples: Any = survey.where[survey.examples(grid.cells[index], grid.means[index])]
    full = survey.found.size
    field = receptive_fields(layer.model, [layer.address], full)[layer.address]
    parts = []
    for picture, y, x in examples.tolist():
        window = (0, 0, *full) if field is None else field.window(y, x, full)
        down, across = (_around(window[axis] + window[axis + 2], size[axis], full[axis]) for axis in (0, 1))
        part = survey.pictures.read(picture, full)[None, :, down, across]
        parts.append(F.interpolate(part, size, mode="bilinear", antialias=True, align_corners=False)[0])
    return torch.stack(parts).mean(0).clamp(0, 1)


def _around(twice_centre: int, side: int, full: int) -> slice:
    """A span of `side` pixels around a place, inside of a picture's `full` pixels."""
    side = min(side, full)
    first = min(max((twice_centre - side) // 2, 0), full - side)
    return slice(first, first + side)
