"""Optimised pictures as problems: the settings that suit a prior and a network, and how attempts differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recipes.options.names import OUTPUT_LAYER
from recipes.options.priors import STARTS, PriorChoice, PriorLike
from recipes.runner.units import Problem

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from objectives import Objective
    from recipes.runner.recipe import NetworkRecipe

FOURIER_STEPS = 32
"""Default steps of the Fourier prior, which hardly gains from more (BENCHMARKS.md); others take the usual number."""
PATCHES: Mapping[str, Any] = {"steps": 48, "learning_rate": 0.2}
"""Settings of the Fourier prior on networks that read patches: wider transforms call for smaller steps."""
REPULSION = 0.5
"""Weight of the diversity of several attempts, relative to the unit's own score."""


def diversity_layer(recipe: NetworkRecipe, model: Model, prior: PriorLike, layer: str) -> str:
    """The layer in which attempts must differ: the unit's own, or for classes the last stage.

    Args:
        recipe: whose size is taken.
        model: the network.
        prior: of the pictures.
        layer: of the unit.
    """
    if layer != OUTPUT_LAYER:
        return layer
    from inverter import stages

    return stages(model, PriorChoice.parse(prior).window(recipe.picture_size(model), model))[-1]


def posed(
    recipe: NetworkRecipe,
    model: Model,
    prior: PriorLike,
    count: int,
    objective: Objective,
    measure: Objective | None = None,
    activation: bool = True,
    start: Tensor | None = None,
) -> Problem:
    """A batch of pictures that maximise an objective, with the settings that suit the prior and the network.

    Args:
        recipe: whose size, steps and learning rate are taken where they are given.
        model: the network.
        prior: of the pictures.
        count: number of pictures.
        objective: with one target for each picture.
        measure: as in `Problem`; None for the objective.
        activation: as in `Problem`.
        start: pictures (B, C, H, W) at which the prior starts, if it is one that can.
    """
    from inverter.patches import reads_patches

    choice, patches = PriorChoice.parse(prior), reads_patches(model)
    own = {"natural_mean": True} if patches and choice.name == "fourier" else {}
    if start is None or choice.name not in STARTS:
        made = choice.make(count, recipe.picture_size(model), model, **own)
    else:
        made = choice.at(start, **own)
    settings = PATCHES if patches else {"steps": FOURIER_STEPS}
    stage = {key: getattr(recipe, key) or value for key, value in settings.items() if choice.name == "fourier"}
    return Problem(
        objective,
        made,
        objective if measure is None else measure,
        [stage],
        choice.finish(made),
        alpha=choice.alpha,
        activation=activation,
    )
