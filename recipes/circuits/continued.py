"""A forward pass between two layers that starts from an activation of its own, for derivatives with respect to it."""

from __future__ import annotations

import torch
from torch import Tensor

from inverter import Model
from inverter_errors import BadInput
from objectives.units import as_map
from recipes.attribution.scoring.replacing import replaced_activation


def continued(model: Model, layer: str, inputs: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """A later layer's maps, and the earlier layer's activation that they were computed from.

    Args:
        model: the network.
        layer: address of the later layer, "" for the output.
        inputs: address of the earlier layer.
        images: (B, C, H, W) in [0, 1].

    Returns:
        Maps (B, K, h, w), and a tensor that requires a gradient, as `Model.capture` arranges the earlier layer.

    Raises:
        BadInput: if the later layer does not depend on the earlier one, or for several networks at once.
        NotFound: for an unknown layer.
    """
    if model.networks:
        raise BadInput(f"a circuit is of one network, and {model.spec} are several: give one of them")
    size, leaves = (images.shape[2], images.shape[3]), list[Tensor]()

    def begin(activation: Tensor) -> Tensor:
        leaves.append(activation.detach().requires_grad_())
        return leaves[-1].clone()

    for each in (layer, inputs):
        model.check_layer(each)
        model.axes(each, size)  # later, finding them would run the hooks of this pass
    with torch.enable_grad(), replaced_activation(model, inputs, size, begin), model.capture([layer]) as capture:
        maps = as_map(capture(model.normalize(images.to(model.device)))[layer], layer)
    if not leaves or not maps.requires_grad:
        raise BadInput(f"layer {layer!r} does not depend on {inputs!r}: choose one before it")
    return maps, leaves[-1]
