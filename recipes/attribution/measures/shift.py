"""Input-shift invariance (Kindermans et al. 2017): a shift that the network takes back must not change its maps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from inverter import Model
from recipes.attribution.measures.randomisation import Ask

SHIFT = 1.0
"""In units of the network's input: one standard deviation, for the usual normalisation."""


@contextmanager
def compensated_shift(model: Model, by: float) -> Iterator[None]:
    """A context in which the network subtracts `by` from its input (after normalisation), before all else.

    It is the paper's second network, whose first biases take the shift up, for any kind of first layer.
    """

    def subtract(_module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return inputs[0] - by, *inputs[1:]

    handle = model.module.register_forward_pre_hook(subtract)
    try:
        yield
    finally:
        handle.remove()


def shift_change(ask: Ask, model: Model, images: Tensor, own: Tensor, by: float = SHIFT) -> Tensor:
    """|M' - M| / |M|: how far the maps of shifted pictures lie from those of the pictures, (B,); 0 is invariance.

    Args:
        images: (B, 3, H, W) in [0, 1]; the shifted ones leave this range. own: M, the maps of `images`, (B, H, W). A
            map of zeros that stays one has not changed; one that does not counts as 1.
    """
    step = by * torch.tensor(model.std, device=images.device)[:, None, None]
    with compensated_shift(model, by):
        moved = ask(model, images + step)
    size = own.flatten(1).norm(dim=1)
    return ((moved - own).flatten(1).norm(dim=1) / size).nan_to_num(0, 1)
