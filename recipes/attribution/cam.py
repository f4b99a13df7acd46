"""Class activation maps: a layer's maps, weighted by what each says for the target."""

from __future__ import annotations

from torch import Tensor

from inverter import Model
from objectives import Objective
from recipes.attribution.declaration import method
from recipes.attribution.layers import layer_gradient


@method(
    "grad-cam",
    paper="Selvaraju et al. 2017",
    layer=True,
    help={"relu": "keep only what speaks for the target"},
)
def grad_cam(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, relu: bool = True) -> Tensor:
    """L = ReLU(sum over k of a_k A_k), a_k the mean over positions of d S / d A_k (eq. 1 and 2)."""
    maps, gradient = layer_gradient(model, images, target, layer)
    weighted = (gradient.mean((2, 3), keepdim=True) * maps).sum(1)
    return weighted.relu() if relu else weighted
