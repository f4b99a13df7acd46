"""Attribution between units: activation times gradient, for paths without a kernel and for single pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from inverter import Model
from objectives.units import as_map
from recipes.circuits.continued import continued

RADIUS = 3
"""Of the windows of mean attributions, in positions of the earlier layer."""
Place = tuple[int, int] | None
"""(row, column) of a unit in its map; None for its centre."""
Row = tuple[int, Place]
"""A unit in one picture: its channel and its place."""


def input_attributions(
    model: Model, pictures: Iterable[tuple[Tensor, Sequence[Row]]], layer: str, inputs: str
) -> Iterator[Tensor]:
    """How much each channel of an earlier layer adds to units: activation times gradient, at each position.

    One forward and one backward pass for each picture, however many units are read in it.

    Args:
        model: the network.
        pictures: (C, H, W) in [0, 1], each with the units that are read in it.
        layer: address of the units' layer, "" for the output.
        inputs: address of the earlier layer.

    Yields:
        For each picture, (R, C', h, w) for R units, on the CPU.

    Raises:
        BadInput: if the layer does not depend on `inputs`.
    """
    # Only the plain computation of attention takes several backward passes at once.
    with sdpa_kernel(SDPBackend.MATH):
        for image, rows in pictures:
            maps, leaf = continued(model, layer, inputs, image[None])
            middle = (maps.shape[2] // 2, maps.shape[3] // 2)
            units = torch.stack([maps[0, channel, *(place or middle)] for channel, place in rows])
            each = torch.eye(len(rows), device=maps.device, dtype=maps.dtype)
            (gradient,) = torch.autograd.grad(units, leaf, each, is_grads_batched=True)
            yield as_map((gradient * leaf.detach())[:, 0], inputs).float().cpu()


def centred(maps: Tensor, places: Sequence[Place], shape: Sequence[int]) -> Tensor:
    """The window of each map about the unit that it is of, zero beyond the map.

    Args:
        maps: (N, C, h, w) of the earlier layer.
        places: of the units.
        shape: (height, width) of the units' map.

    Returns:
        (N, C, 2 r + 1, 2 r + 1), r at most `RADIUS`.

    Example:
        >>> maps = torch.arange(16.0).view(1, 1, 4, 4)
        >>> centred(maps, [(1, 1)], (2, 2))[0, 0, 2, 2]
        tensor(15.)
    """
    height, width = maps.shape[2:]
    radius = min(RADIUS, max(height, width) // 2)
    padded = F.pad(maps, [radius] * 4)
    windows = []
    for each, place in zip(padded, places, strict=True):
        y, x = place if place is not None else (shape[0] // 2, shape[1] // 2)
        row, column = (2 * y + 1) * height // (2 * shape[0]), (2 * x + 1) * width // (2 * shape[1])
        windows.append(each[:, row : row + 2 * radius + 1, column : column + 2 * radius + 1])
    return torch.stack(windows)


def output_attributions(model: Model, images: Tensor, inputs: str, channel: int, layer: str) -> Tensor:
    """How much a unit adds to each channel of a later layer: its activation times the gradient of their sums.

    All of them at once: v -> <J^T v, a> is linear in v, and its gradient is J a, for the unit's own activations a.

    Args:
        model: the network.
        images: (N, C, H, W) in [0, 1].
        inputs: address of the unit's layer.
        channel: index of the unit.
        layer: address of the later layer, "" for the output.

    Returns:
        (K,), the mean over the images of the sum over the positions.

    Raises:
        BadInput: if the later layer does not depend on the unit's.
    """
    totals = []
    # Only the plain computation of attention has a second derivative.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        for part in images.split(4):
            maps, leaf = continued(model, layer, inputs, part)
            towards = torch.zeros_like(maps, requires_grad=True)
            (back,) = torch.autograd.grad(maps, leaf, towards, create_graph=True)
            (changes,) = torch.autograd.grad((back * leaf.detach())[:, channel].sum(), towards)
            totals.append(changes.float().sum((0, 2, 3)).cpu())
    return torch.stack(totals).sum(0) / len(images)
