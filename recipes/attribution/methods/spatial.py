"""Where and what together: which positions of a layer, and which of its channels, speak for the target."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from inverter import Model
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.scoring.layers import layer_gradient


@method("spatial-attribution", paper="Olah et al. 2018", signed=True, layer=True, channels=True)
def spatial_attribution(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """The share of each position of the layer in the score, to first order: sum over channels of A dS/dA."""
    maps, gradient = layer_gradient(model, images, target, layer)
    return (maps * gradient).sum(1)


def channel_attribution(model: Model, images: Tensor, target: Objective, layer: str) -> Tensor:
    """The share of each channel of a layer in the score, to first order: sum over positions of A dS/dA (Olah 2018).

    Args:
        images: (B, 3, H, W) in [0, 1], on the model's device.
        target: an objective of one target, or of one for each picture.
        layer: address of a layer with maps (B, C, h, w).

    Returns:
        (B, C), above 0 for the target. It sums to what `spatial_attribution` sums to.

    Raises:
        BadInput: if the target does not depend on the layer. NotFound: for an unknown layer.

    Example:
        >>> import torch
        >>> from inverter import load_model
        >>> from objectives import logit
        >>> model = load_model("builtin", device="cpu")
        >>> channel_attribution(model, torch.rand(1, 3, 64, 64), logit(3), "features.stage3").shape[0]
        1
    """
    maps, gradient = layer_gradient(model, images, target, layer)
    return (maps * gradient).sum((2, 3))


def strongest_channels(shares: Tensor, count: int = 8) -> list[dict[str, Any]]:
    """The channels with the largest shares (C,) by size, for and against the target, as the manifest tells them.

    Example:
        >>> import torch
        >>> strongest_channels(torch.tensor([0.0, -2.0, 1.0]))
        [{'channel': 1, 'value': -2.0}, {'channel': 2, 'value': 1.0}]
    """
    order = shares.abs().argsort(descending=True)[:count].tolist()
    return [{"channel": channel, "value": float(shares[channel])} for channel in order if shares[channel] != 0]
