"""What the icons of an atlas maximise, and how they look where the run does not say otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inverter import Model, receptive_fields
from objectives import Objective, centred_direction

if TYPE_CHECKING:
    from torch import Tensor

SURROUND_WEIGHT = 3.0
"""Weight of the mean over the map, relative to the icon's centre, where the centre's receptive field is all of it."""
ICON_PRIOR = {"decay": 1.4, "contrast": 1.2, "natural_mean": True, "cast": 0.3}
"""Options of the Fourier prior for icons: smooth, not saturated, in the colours of photographs, without a blue cast."""


def icon_objective(
    model: Model, layer: str, means: Tensor, targets: Tensor, power: float, size: tuple[int, int]
) -> Objective:
    """The objective of a batch of icons.

    Args:
        model: the network.
        layer: address of the layer.
        means: (B, C), the mean activations of the cells.
        targets: (B, C), what distinguishes each from the average, or its whitened mean.
        power: exponent of the cosine.
        size: (height, width) of the icons in pixels.
    """
    around = SURROUND_WEIGHT / receptive_share(model, layer, size) ** 2
    return centred_direction(layer, means, targets, power, around)


def receptive_share(model: Model, layer: str, size: tuple[int, int]) -> float:
    """The share of a picture's area in the receptive field of its centre, at most 1.

    Args:
        model: the network.
        layer: address of the layer.
        size: (height, width) of the picture in pixels.
    """
    field = receptive_fields(model, [layer], size)[layer]
    return 1.0 if field is None or not field.traced else min(1.0, (field.size / max(size)) ** 2)
