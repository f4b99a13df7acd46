"""The head of a classifier that ends with global average pooling and at most one linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inverter import Model
from inverter_errors import BadInput
from objectives import OUTPUT, Activations, Objective
from recipes.attribution.scoring.forward import fixed_noise
from recipes.attribution.scoring.layers import last_map_layer

TOLERANCE = 1e-3
"""Largest error of the recomputed output, as a share of the largest output."""


@torch.no_grad()
def pooled_weights(model: Model, images: Tensor, target: Objective) -> tuple[Tensor, Tensor]:
    """The last maps A and the weights w of their spatial means for the target, w = W^T dS/dy, y the output.

    For a class, w is its row of the last linear layer W; without a linear layer, w selects the map of the class.

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        target: an objective that reads the output.

    Returns:
        A (B, C, h, w) and w (B, C).

    Raises:
        BadInput: for a target that does not read the output, or a network of another form.
    """
    where = _pooled_layer(model, target, (images.shape[2], images.shape[3]))
    with model.capture([where, OUTPUT]) as capture:
        seen = capture(model.normalize(images))
    maps, output = seen[where], seen[OUTPUT].detach().requires_grad_()
    head = _head(model, maps, output)
    with torch.enable_grad():
        total = target.score(Activations({OUTPUT: output}, images)).sum()
    (gradient,) = torch.autograd.grad(total, output)
    return maps, gradient if head is None else gradient @ head.weight


@torch.no_grad()
def pooled_layer(model: Model, target: Objective, size: tuple[int, int]) -> str:
    """Address of the maps that are pooled, verified on a noise image of this size.

    Args:
        model: the network.
        target: an objective that reads the output.
        size: (height, width) of the images.

    Raises:
        BadInput: as `pooled_weights`.
    """
    where = _pooled_layer(model, target, size)
    with model.capture([where, OUTPUT]) as capture:
        seen = capture(model.normalize(fixed_noise(model, size)))
    _head(model, seen[where], seen[OUTPUT])
    return where


def _pooled_layer(model: Model, target: Objective, size: tuple[int, int]) -> str:
    if target.reads != (OUTPUT,):
        reads = ", ".join(target.reads) or "pixels"
        raise BadInput(
            f"cam needs the maps that a classifier pools before its output, but {target.label(0)} reads {reads}"
        )
    return last_map_layer(model, target, size)


def _head(model: Model, maps: Tensor, output: Tensor) -> nn.Linear | None:
    """The linear layer from the means of the maps to the output; None if the means are the output.

    It is identified by what it computes and not by its name, which covers every way to write the forward pass.
    """
    means = maps.mean((2, 3))
    off = TOLERANCE * float(output.abs().max())
    if means.shape == output.shape and torch.allclose(means, output, rtol=0, atol=off):
        return None
    for part in model.module.modules():
        if not isinstance(part, nn.Linear) or (part.in_features, part.out_features) != (
            means.shape[1],
            output.shape[-1],
        ):
            continue
        if torch.allclose(part(means), output, rtol=0, atol=off):
            return part
    raise BadInput(
        f"{model.spec} does not end with global average pooling and at most one linear layer, as cam needs it: use "
        "grad-cam, which works with any network"
    )
