"""Pictures that climb directions of a layer, as the gallery makes those of its units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recipes.gallery.gallery import FOURIER_STEPS, PATCHES
from recipes.options.priors import PriorChoice
from recipes.runner.units import Problem

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.runner.recipe import NetworkRecipe


def climbing(recipe: NetworkRecipe, model: Model, layer: str, vectors: Tensor, prior: str) -> Problem:
    """A batch of pictures, each of which maximises the mean dot product with a vector over a layer's places.

    Args:
        recipe: whose size, steps and learning rate are taken where they are given.
        model: the network.
        layer: address.
        vectors: (B, C).
        prior: of the pictures, as users write it.
    """
    from inverter.patches import reads_patches
    from objectives import direction

    patches, choice, objective = reads_patches(model), PriorChoice.parse(prior), direction(layer, vectors)
    own = {"natural_mean": True} if patches and choice.name == "fourier" else {}
    made = choice.make(len(vectors), recipe.picture_size(model), model, **own)
    usual = PATCHES if patches else {"steps": FOURIER_STEPS}
    stage = {key: getattr(recipe, key) or value for key, value in usual.items() if choice.name == "fourier"}
    return Problem(objective, made, objective, [stage], choice.finish(made), alpha=choice.alpha, activation=True)
