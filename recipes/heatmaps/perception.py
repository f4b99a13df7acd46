"""Perception visualization (Giulivi et al. 2021): the pre-image of a layer, shown where a heat map is high."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inverter import Model, Settings, encode, optimize
from inverter.codes import stride
from objectives import code
from recipes.inversion.schedules import APPROACHES, best, planned
from recipes.options.priors import PriorChoice
from recipes.outputs.rendering.colormap import strength

DARK = 0.12
"""Brightness that remains where a map is 0."""


def preimages(
    model: Model, images: Tensor, layer: str, steps: int = 60, seed: int = 0, names: Sequence[str] | None = None
) -> Tensor:
    """Reconstructs images from their codes in a layer, as `inverter invert` does, in few steps.

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        layer: address of a layer.
        steps: optimisation steps.
        seed: of the random draws.
        names: of the images, for the random draws; None numbers them.

    Returns:
        (B, 3, H, W) in [0, 1] on the CPU; black for an image whose code is all zero.

    Raises:
        NotFound: for an unknown layer.
    """
    target = encode(model, images, layer)[layer]
    active = target.flatten(1).any(1).cpu()
    if not active.all():
        found = torch.zeros(images.shape, dtype=torch.float32)
        if active.any():
            active_names = [name for name, kept in zip(names, active, strict=True) if kept] if names else None
            found[active] = preimages(model, images[active], layer, steps, seed, active_names)
        return found
    size = (images.shape[2], images.shape[3])
    depth = stride(target.shape, size)
    name = best(depth)
    prior = PriorChoice(name).make(len(images), size, model, **APPROACHES[name].options(depth))
    objective = code(layer, target, names=names)
    for stage in planned(APPROACHES[name].stages(depth), steps, None, False):
        result = optimize(model, objective, prior, Settings(**{"redirect": 0, "seed": seed} | stage), "none", None)
    return result.images.clamp(0, 1).cpu()


def perception_visualization(preimage: Tensor, heat: Tensor) -> Tensor:
    """Darkens a pre-image where a heat map is low (Giulivi et al. 2021).

    Args:
        preimage: (3, H, W) in [0, 1].
        heat: (H, W).

    Returns:
        (3, H, W) in [0, 1].

    Example:
        >>> import torch
        >>> perception_visualization(torch.ones(3, 1, 2), torch.tensor([[0.0, 5.0]]))[0]
        tensor([[0.1200, 1.0000]])
    """
    return preimage * (DARK + (1 - DARK) * strength(heat, signed=False).sqrt())
