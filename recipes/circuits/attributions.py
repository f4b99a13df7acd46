"""Attribution between units, where the path between their layers has no kernel: activation times gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from inverter import Model
from objectives import neuron
from objectives.units import as_map
from recipes.attribution.scoring.layers import layer_gradient
from recipes.attribution.scoring.replacing import replaced_activation

RADIUS = 3
"""Of the windows of mean attributions, in positions of the earlier layer."""
Place = tuple[int, int] | None
"""(row, column) of a unit in its map; None for its centre."""


def input_attributions(
    model: Model, images: Tensor, layer: str, channels: Sequence[int], places: Sequence[Place], inputs: str
) -> tuple[Tensor, Tensor]:
    """How much each channel of an earlier layer adds to a unit: activation times gradient, at each position.

    Args:
        model: the network.
        images: (N, C, H, W) in [0, 1].
        layer: address of the units' layer, "" for the output.
        channels: of the unit of each image.
        places: of the unit of each image.
        inputs: address of the earlier layer.

    Returns:
        The attributions (N, C', h, w), and the activations of the earlier layer, of the same shape; on the CPU.

    Raises:
        BadInput: if the layer does not depend on `inputs`.
    """
    size = (images.shape[2], images.shape[3])
    shape = as_map(torch.empty(model.shapes([layer], size)[layer], device="meta"), layer).shape
    known = [(shape[2] // 2, shape[3] // 2) if place is None else place for place in places]
    found = []
    for start in range(0, len(images), 8):
        part = slice(start, start + 8)
        rows, columns = ([place[axis] for place in known[part]] for axis in (0, 1))
        target = neuron(layer, list(channels[part]), rows, columns)
        activation, gradient = layer_gradient(model, images[part].to(model.device), target, inputs)
        maps = as_map(activation, inputs).detach().float()
        found.append(torch.stack([maps * as_map(gradient, inputs).float(), maps]).cpu())
    attributions, activations = torch.cat(found, 1)
    return attributions, activations


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
    size, leaves, totals = (images.shape[2], images.shape[3]), list[Tensor](), list[Tensor]()

    def begin(activation: Tensor) -> Tensor:
        leaves.append(activation.detach().requires_grad_())
        return leaves[-1].clone()

    model.axes(layer, size)
    model.axes(inputs, size)
    # Only the plain computation of attention has a second derivative.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        for part in images.split(4):
            with replaced_activation(model, inputs, size, begin), model.capture([layer]) as capture:
                maps = as_map(capture(model.normalize(part.to(model.device)))[layer], layer)
            leaf = leaves[-1]
            towards = torch.zeros_like(maps, requires_grad=True)
            (back,) = torch.autograd.grad(maps, leaf, towards, create_graph=True)
            (changes,) = torch.autograd.grad((back * leaf.detach())[:, channel].sum(), towards)
            totals.append(changes.float().sum((0, 2, 3)).cpu())
    return torch.stack(totals).sum(0) / len(images)
