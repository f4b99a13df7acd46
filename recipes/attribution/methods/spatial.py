"""Attribution to the positions and to the channels of a layer (Olah et al. 2018, "The Building Blocks")."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from inverter import Model
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.scoring.images import check_images
from recipes.attribution.scoring.layers import layer_gradient


@method("spatial-attribution", paper="Olah et al. 2018", signed=True, layer=True, channels=True)
def spatial_attribution(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """Spatial attribution (Olah et al. 2018): the first-order contribution of each position, M = sum_k A_k dS/dA_k."""
    maps, gradient = layer_gradient(model, images, target, layer)
    return (maps * gradient).sum(1)


def channel_attribution(model: Model, images: Tensor, target: Objective, layer: str) -> Tensor:
    """The first-order contribution of each channel of a layer to the score, sum_ij A_ij dS/dA_ij (Olah et al. 2018).

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1], on the model's device.
        target: an objective with one target, or with one for each image.
        layer: address of a layer with feature maps (B, C, h, w).

    Returns:
        (B, C); values above 0 support the target. Its sum over channels equals that of `spatial_attribution` over
        positions.

    Raises:
        BadInput: if the target does not depend on the layer, or for images outside of [0, 1].
        NotFound: for an unknown layer.

    Example:
        >>> import torch
        >>> from inverter import load_model
        >>> from objectives import logit
        >>> model = load_model("builtin", device="cpu")
        >>> channel_attribution(model, torch.rand(1, 3, 64, 64), logit(3), "features.stage3").shape[0]
        1
    """
    check_images(model, images)
    maps, gradient = layer_gradient(model, images, target, layer)
    return (maps * gradient).sum((2, 3))


def strongest_channels(shares: Tensor, count: int = 8) -> list[dict[str, Any]]:
    """The channels with the largest absolute contributions, positive or negative, in the format of the manifest.

    Args:
        shares: contributions of the channels, (C,).
        count: largest number of channels.

    Example:
        >>> import torch
        >>> strongest_channels(torch.tensor([0.0, -2.0, 1.0]))
        [{'channel': 1, 'value': -2.0}, {'channel': 2, 'value': 1.0}]
    """
    order = shares.abs().argsort(descending=True)[:count].tolist()
    return [{"channel": channel, "value": float(shares[channel])} for channel in order if shares[channel] != 0]
