"""The layers of a network at which its features are compared, where the user names none."""

from __future__ import annotations

import torch

from inverter import Model, stages
from inverter.batch_norm import spread_out
from inverter_errors import BadInput


def default_layers(model: Model, size: tuple[int, int] | None = None) -> list[str]:
    """At most nine stages with parameters, spread through the depth.

    Args:
        model: the network.
        size: (height, width) of the pictures in pixels; default: the model's own.

    Raises:
        BadInput: for a network without stages that output maps.
    """
    learned = [name for name in stages(model, size) if any(True for _ in _part(model, name).parameters())]
    if not learned:
        raise BadInput(f"{model.spec} has no stages that output maps: set layers to addresses (inverter layers)")
    return spread_out(learned)


def _part(model: Model, name: str) -> torch.nn.Module:
    part: torch.nn.Module = model.module.get_submodule(name)
    return part
