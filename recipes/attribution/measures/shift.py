"""Input-shift invariance (Kindermans et al. 2017): a shift that the network compensates must not change its maps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from inverter import Model
from recipes.attribution.measures.randomisation import Explainer

SHIFT = 1.0
"""In units of the normalised input: one standard deviation with the usual normalisation."""


@contextmanager
def compensated_shift(model: Model, by: float) -> Iterator[None]:
    """A context in which the network first subtracts `by` from its normalised input.

    This is the paper's second network, whose first biases absorb the shift, for any kind of first layer.
    """

    def subtract(_module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return inputs[0] - by, *inputs[1:]

    handle = model.module.register_forward_pre_hook(subtract)
    try:
        yield
    finally:
        handle.remove()


def shift_change(explainer: Explainer, model: Model, images: Tensor, own: Tensor, by: float = SHIFT) -> Tensor:
    """The relative change |M' - M| / |M| of the maps M' of shifted images, (B,); 0 is invariance.

    Args:
        explainer: computes the maps.
        model: the network.
        images: (B, 3, H, W) in [0, 1]; the shifted ones leave this range.
        own: M, the maps of `images`, (B, H, W). For a map of zeros the change is 0 if it stays zero, else 1.
        by: the shift in units of the normalised input.
    """
    step = by * torch.tensor(model.std, dtype=torch.float32, device=images.device)[:, None, None]
    with compensated_shift(model, by):
        moved = explainer(model, images + step)
    size = own.flatten(1).norm(dim=1)
    return ((moved - own).flatten(1).norm(dim=1) / size).nan_to_num(0, 1)
