"""Perception visualization: what the network saw where it looked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inverter import Model, Settings, encode, optimize
from inverter.codes import stride
from objectives import code
from recipes.inversion.schedules import APPROACHES, best, planned
from recipes.options.priors import PriorChoice
from recipes.outputs.colormap import strength

DARK = 0.12
"""What is left of the light where a map is cold."""


def perceived(
    model: Model, images: Tensor, layer: str, steps: int = 60, seed: int = 0, names: Sequence[str] | None = None
) -> Tensor:
    """What a layer keeps of pictures: pre-images of their codes, as `inverter invert` makes them, in few steps.

    Args:
        images: (B, 3, H, W) in [0, 1]. layer: address of a layer. names: of the pictures, for the random draws.

    Returns:
        (B, 3, H, W) in [0, 1] on the CPU; black where a layer is silent for a picture, and so keeps nothing of it.

    Raises:
        NotFound: for an unknown layer.
    """
    target = encode(model, images, layer)[layer]
    heard = target.flatten(1).any(1).cpu()
    if not heard.all():
        known = torch.zeros(images.shape)
        if heard.any():
            told = [name for name, kept in zip(names, heard, strict=True) if kept] if names else None
            known[heard] = perceived(model, images[heard], layer, steps, seed, told)
        return known
    size = (images.shape[2], images.shape[3])
    depth = stride(target.shape, size)
    name = best(depth)
    prior = PriorChoice(name).make(len(images), size, model, **APPROACHES[name].options(depth))
    objective = code(layer, target, names=names)
    for stage in planned(APPROACHES[name].stages(depth), steps, None, False):
        result = optimize(model, objective, prior, Settings(**{"redirect": 0, "seed": seed} | stage), "none")
    return result.images.clamp(0, 1).cpu()


def seen_where_it_looked(preimage: Tensor, heat: Tensor) -> Tensor:
    """A pre-image (3, H, W) as bright as a map (H, W) is hot: the perception visualization of Giulivi et al. 2021.

    Example:
        >>> import torch
        >>> seen_where_it_looked(torch.ones(3, 1, 2), torch.tensor([[0.0, 5.0]]))[0]
        tensor([[0.1200, 1.0000]])
    """
    return preimage * (DARK + (1 - DARK) * strength(heat, signed=False).sqrt())
