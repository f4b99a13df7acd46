"""Model parameter randomisation test (Adebayo et al. 2018): a map must change when the weights are randomised."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inverter import Model
from inverter.isolation.torchscript import named_layers
from objectives import Objective
from recipes.attribution.measures.similarity import rank_correlation, similarity

Explainer = Callable[[Model, Tensor], Tensor]
"""A method with a fixed target: network, images (B, 3, H, W) -> maps (B, H, W)."""


@dataclass(frozen=True)
class Depth:
    """The maps of B images once the uppermost layers are random.

    The three similarities are NaN where a map is 0 everywhere (no evidence for the target in the random network, or a
    dead ReLU before it) or not finite.

    Attributes:
        layers: number of randomised layers.
        down_to: address of the lowest of them.
        maps: (B, H, W).
        rank: Spearman's rank correlation with the maps of the trained network, (B,).
        size: the same of absolute values, closer to what one sees, (B,).
        ssim: structural similarity of the maps as they are drawn, (B,).
    """

    layers: int
    down_to: str
    maps: Tensor
    rank: Tensor
    size: Tensor
    ssim: Tensor


def randomisation(
    explainer: Explainer,
    model: Model,
    images: Tensor,
    layers: Sequence[str],
    depths: Sequence[int],
    seed: int,
    signed: bool,
) -> Iterator[Depth]:
    """Cascading randomisation: weights are drawn anew layer by layer from the top, and the maps are recomputed.

    Args:
        explainer: computes the maps.
        model: the trained network; it is copied.
        images: (B, 3, H, W) in [0, 1].
        layers: addresses of layers with weights, the uppermost first (`weighted_layers`).
        depths: numbers of randomised layers at which maps are computed, ascending.
        seed: of the weights.
        signed: whether values below 0 oppose the target.

    Yields:
        One `Depth` for each of `depths`.

    Example:
        >>> from inverter import load_model
        >>> model, edges = load_model("builtin"), lambda model, images: images.diff(dim=3).abs().sum(1)
        >>> found = randomisation(edges, model, torch.rand(1, 3, 64, 64), ["features.stem"], [1], 0, False)
        >>> [float(depth.rank) for depth in found]
        [1.0]
    """
    own = explainer(model, images)
    for count, network in cascade(model, layers, depths, seed):
        maps = explainer(network, images)
        found = (
            rank_correlation(own, maps),
            rank_correlation(own.abs(), maps.abs()),
            similarity(own, maps, signed),
        )
        size = maps.flatten(1).abs().amax(1)
        lost = (size == 0) | ~size.isfinite()
        yield Depth(count, layers[count - 1], maps, *(values.masked_fill(lost, torch.nan) for values in found))


def cascade(model: Model, layers: Sequence[str], depths: Sequence[int], seed: int) -> Iterator[tuple[int, Model]]:
    """Yields a copy of the model whose first `depth` of `layers` are random, for each depth; it is modified further.

    Every parameter is drawn from a normal distribution with mean 0 and its own root mean square. With the usual
    initialisation activations would vanish or explode in the layers that are still trained; with the parameter's own
    mean most of a network that ends with a ReLU would be silent.
    """
    network = copy.copy(model)
    network.module = copy.deepcopy(model.module)
    generator = torch.Generator("cpu").manual_seed(seed)
    done = 0
    for depth in depths:
        for layer in layers[done:depth]:
            _randomise(network.module.get_submodule(layer), generator)
        done = depth
        yield depth, network


@torch.no_grad()
def _randomise(part: nn.Module, generator: torch.Generator) -> None:
    for parameter in part.parameters(recurse=False):
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float32).to(parameter)
        parameter.copy_(parameter.square().mean().sqrt() * drawn)


@torch.no_grad()
def weighted_layers(model: Model, target: Objective, size: tuple[int, int]) -> list[str]:
    """Addresses of the layers with weights that run before the target is read, the uppermost first.

    A module whose weights are used by its parent (the output projection of an attention) is placed with the parent.

    Args:
        model: the network.
        target: the objective.
        size: (height, width) of the images.
    """
    ran: dict[str, int] = {}
    names = {part: name for name, part in named_layers(model.module).items()}

    def record(part: nn.Module, _inputs: object, _output: object) -> None:
        ran.setdefault(names[part], len(ran))

    handles = [part.register_forward_hook(record) for part in names]
    try:
        with model.capture(target.reads) as capture:
            capture(model.normalize(torch.full((1, len(model.mean), *size), 0.5, device=model.device)))
    finally:
        for handle in handles:
            handle.remove()
    when = {
        name: ran.get(name, ran.get(name.rpartition(".")[0] or name))
        for name, part in model.module.named_modules()
        if next(part.parameters(recurse=False), None) is not None
    }
    found = {name: at for name, at in when.items() if at is not None}
    return sorted(found, key=lambda name: found[name], reverse=True)


def spread_depths(count: int, most: int) -> list[int]:
    """Up to `count` evenly spaced depths from 1 to `most`; all of them for 0.

    Example:
        >>> spread_depths(4, 26), spread_depths(0, 3)
        ([1, 9, 18, 26], [1, 2, 3])
    """
    if not 0 < count < most:
        return list(range(1, most + 1))
    return sorted({round(1 + (most - 1) * step / max(count - 1, 1)) for step in range(count)} | {most})
