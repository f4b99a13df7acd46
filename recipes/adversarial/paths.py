"""The paths of a picture and its changed copy through a network: how far apart they are, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model

PARTED = 0.5
"""Two paths have parted where they are this share of the distance of two different pictures apart."""

Points = Mapping[str, Tensor]
"""Layer -> activations of B pictures as vectors of length 1, (B, D) on the CPU."""


@torch.no_grad()
def points(model: Model, layers: Sequence[str], images: Tensor) -> Points:
    """Where pictures are in each layer.

    Args:
        model: the network.
        layers: addresses, in order.
        images: (B, C, H, W) in [0, 1].
    """
    with model.capture(layers) as capture:
        seen = capture(model.normalize(images.to(model.device)))
    return {layer: F.normalize(seen[layer].float().flatten(1), dim=1).cpu() for layer in layers}


@dataclass(frozen=True)
class Step:
    """Two paths in one layer.

    Attributes:
        layer: its address.
        distance: between the activations of the picture and its changed copy as vectors of length 1, from 0 to 2.
        others: the mean of the same distance to other pictures; None without any.
    """

    layer: str
    distance: float
    others: float | None


def path(before: Points, after: Points, row: int, references: Points, own: int | None) -> list[Step]:
    """The path of one changed picture next to that of the picture.

    Args:
        before: of a batch of pictures.
        after: of their changed copies.
        row: of the picture in the batch.
        references: of some pictures.
        own: place of the picture among these, where it is one of them.
    """
    steps = []
    for layer, known in references.items():
        here = before[layer][row]
        far = [float((here - other).norm()) for place, other in enumerate(known) if place != own]
        distance = float((here - after[layer][row]).norm())
        steps.append(Step(layer, distance, sum(far) / len(far) if far else None))
    return steps


def parts(steps: Sequence[Step]) -> str | None:
    """The first layer in which two paths have parted (`PARTED`); None if they do not.

    Example:
        >>> parts([Step("a", 0.1, 0.4), Step("b", 0.3, 0.4)])
        'b'
    """
    return next((step.layer for step in steps if step.others and step.distance > PARTED * step.others), None)
