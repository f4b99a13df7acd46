"""Expanded weights: the kernel between a unit and every channel of an earlier layer, through all that lies between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inverter import Model
from objectives.units import as_map, check_channels
from recipes.attribution.backward.linearised import Linearised
from recipes.circuits.continued import continued

TOGETHER = 64
"""Units whose kernels are computed in one backward pass."""
LINEAR = 3
"""Activation functions on a path, the unit's own among them, up to which it counts as nearly linear: one block with a
bottleneck. The user may ask for the kernels of longer ones."""


@dataclass(frozen=True)
class Path:
    """What lies between two layers.

    Attributes:
        inputs: address of the earlier layer.
        layer: address of the later one, "" for the output.
        depth: largest number of activation functions on the way, that of the later layer's own units among them.
        obstacles: names of the operations that no linear one can replace (softmax, layer_norm, products).
    """

    inputs: str
    layer: str
    depth: int
    obstacles: tuple[str, ...]

    @property
    def linear(self) -> bool:
        """Whether kernels describe it well enough to be the default."""
        return not self.obstacles and self.depth <= LINEAR


@dataclass(frozen=True)
class ExpandedWeights:
    """The kernels of some units.

    Attributes:
        path: between the layers.
        kernels: (N, C, h, w) for N units and C channels of the earlier layer; 1x1 where that outputs vectors. Cut to
            the positions on which any of the units depends.
    """

    path: Path
    kernels: Tensor


def expanded_weights(
    model: Model, layer: str, channels: Sequence[int], inputs: str, size: tuple[int, int] | None = None
) -> ExpandedWeights:
    """The Jacobian of units before their own activation function, as if all that lies between were linear.

    Cammarata et al. 2021, "Curve circuits": ReLUs become the identity, maximum pooling an average
    (`recipes.attribution.backward.linearised`), so that 1x1 bottlenecks are multiplied through. One forward pass serves
    all units. Near the border of a small map a kernel is cut.

    Args:
        model: the network.
        layer: address of a layer with maps, tokens or vectors; the unit at the centre of the map is taken.
        channels: indices of the units.
        inputs: address of the earlier layer.
        size: (height, width) of the picture in pixels; default: the model's own.

    Returns:
        The kernels, and what lies between the layers. With `obstacles` they are the gradient at a grey picture only.

    Raises:
        BadInput: if the layer does not depend on `inputs`, or for several networks at once.
        NotFound: for an unknown layer or channel.
    """
    grey = torch.full((1, len(model.mean), *model.size_for(size)), 0.5)
    with Linearised() as rules, torch.enable_grad():
        maps, leaf = continued(model, layer, inputs, grey)
        check_channels(torch.tensor(list(channels)), maps.shape[1], layer)
        centre = maps[0, list(channels), maps.shape[2] // 2, maps.shape[3] // 2]
    kernels = []
    for part in centre.split(TOGETHER):
        each = torch.eye(len(part), device=part.device, dtype=part.dtype)
        (gradient,) = torch.autograd.grad(part, leaf, each, is_grads_batched=True, retain_graph=True)
        kernels.append(as_map(gradient[:, 0], inputs).float().cpu())
    path = Path(inputs, layer, rules.depth, tuple(rules.without_rule))
    return ExpandedWeights(path, _cut(torch.cat(kernels)))


@torch.no_grad()
def linearity(model: Model, layer: str, channels: Sequence[int], inputs: str, images: Tensor) -> list[float]:
    """How well the linear path predicts each unit: Pearson's r with its activation, over all places where that is > 0.

    Args:
        model: the network.
        layer: as in `expanded_weights`.
        channels: as in `expanded_weights`.
        inputs: as in `expanded_weights`.
        images: (B, C, H, W) in [0, 1].

    Returns:
        r in [-1, 1] for each unit; NaN where it is active at fewer than three places.
    """
    pairs = []
    for part in images.split(8):
        with model.capture([layer]) as capture:
            actual = as_map(capture(model.normalize(part.to(model.device)))[layer], layer)[:, list(channels)]
        with Linearised():
            maps, _ = continued(model, layer, inputs, part)
        pairs.append(torch.stack([actual.float(), maps[:, list(channels)].detach().float()]).cpu())
    actual, predicted = torch.cat(pairs, 1).transpose(1, 2).flatten(2)
    found = []
    for real, linear in zip(actual, predicted, strict=True):
        both = torch.stack([real, linear])[:, real > 0]
        found.append(float(torch.corrcoef(both)[0, 1]) if both.shape[1] > 2 else float("nan"))
    return found


def _cut(kernels: Tensor) -> Tensor:
    """Kernels (N, C, h, w) without the rows and columns that are zero in all of them."""
    used = kernels.abs().amax((0, 1))
    if not bool(used.any()):
        return kernels[:, :, :1, :1]
    rows, columns = (used.amax(axis).nonzero().flatten() for axis in (1, 0))
    return kernels[:, :, int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
