"""Gradient methods: what a small change of each pixel does to the target."""

from __future__ import annotations

from torch import Tensor

from inverter import Model
from objectives import Objective
from recipes.attribution.ask import asking, input_gradient
from recipes.attribution.declaration import method


@method("saliency", paper="Simonyan et al. 2014")
def saliency(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """The largest absolute derivative over the channels: M_ij = max over c of |d S / d x_cij| (eq. of section 3.1)."""
    with asking(model, target) as score:
        return input_gradient(score, images).abs().amax(1)
