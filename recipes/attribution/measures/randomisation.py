"""Parameter randomisation (Adebayo et al. 2018): a map of what a network has learned must change when it forgets it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inverter import Model
from objectives import Objective
from recipes.attribution.measures.similarity import rank_correlation, similarity

Ask = Callable[[Model, Tensor], Tensor]
"""A method with its target: a network and pictures (B, 3, H, W) -> maps (B, H, W)."""


@dataclass(frozen=True)
class Depth:
    """What became of the maps of B pictures once the uppermost `layers` are random, down to `down_to`.

    Attributes:
        maps: (B, H, W). rank: rank correlation with the network's own maps, (B,). size: the same of |map|, which is
            what an eye compares. ssim: of the maps as they are drawn, (B,). All three are NaN where a map is 0
            everywhere (in the random network nothing speaks for the target, or a ReLU before it lets nothing through)
            or holds no numbers.
    """

    layers: int
    down_to: str
    maps: Tensor
    rank: Tensor
    size: Tensor
    ssim: Tensor


def randomisation(
    ask: Ask, model: Model, images: Tensor, layers: Sequence[str], depths: Sequence[int], seed: int, signed: bool
) -> Iterator[Depth]:
    """The cascade: layer by layer from the top, weights are drawn anew, and the maps are asked again.

    Args:
        images: (B, 3, H, W) in [0, 1]. layers: addresses with weights, the uppermost first (`weighted_layers`).
        depths: after how many of them to ask, ascending. signed: whether the maps tell below 0 from 0.

    Example:
        >>> from inverter import load_model
        >>> model, edges = load_model("builtin"), lambda model, images: images.diff(dim=3).abs().sum(1)
        >>> found = randomisation(edges, model, torch.rand(1, 3, 64, 64), ["features.stem"], [1], 0, False)
        >>> [float(depth.rank) for depth in found]
        [1.0]
    """
    own = ask(model, images)
    for count, network in cascade(model, layers, depths, seed):
        maps = ask(network, images)
        found = (
            rank_correlation(own, maps),
            rank_correlation(own.abs(), maps.abs()),
            similarity(own, maps, signed),
        )
        size = maps.flatten(1).abs().amax(1)
        lost = (size == 0) | ~size.isfinite()
        yield Depth(count, layers[count - 1], maps, *(values.masked_fill(lost, torch.nan) for values in found))


def cascade(model: Model, layers: Sequence[str], depths: Sequence[int], seed: int) -> Iterator[tuple[int, Model]]:
    """A copy of the model whose first `depth` of `layers` are random, for each depth; it is one copy that goes on.

    Each tensor of weights is drawn from a normal distribution around 0, as large as it is (root mean square). Drawn as
    networks are initialised, activations would die away or burst in layers that stay as they were trained; with the
    mean that it has, most of a network that ends with a ReLU falls silent.
    """
    network = copy.copy(model)
    network.module = copy.deepcopy(model.module)
    generator = torch.Generator().manual_seed(seed)
    done = 0
    for depth in depths:
        for layer in layers[done:depth]:
            _draw(network.module.get_submodule(layer), generator)
        done = depth
        yield depth, network


@torch.no_grad()
def _draw(part: nn.Module, generator: torch.Generator) -> None:
    for parameter in part.parameters(recurse=False):
        drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
        parameter.copy_(parameter.square().mean().sqrt() * drawn)


@torch.no_grad()
def weighted_layers(model: Model, target: Objective, size: tuple[int, int]) -> list[str]:
    """Addresses of the layers with weights that a picture of `size` passes on its way to the target, uppermost first.

    A part whose weights another part uses itself (the projection of an attention) goes with that one.
    """
    ran: dict[str, int] = {}
    names = {part: name for name, part in model.module.named_modules()}

    def note(part: nn.Module, _inputs: object, _output: object) -> None:
        ran.setdefault(names[part], len(ran))

    handles = [part.register_forward_hook(note) for part in names]
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


def evenly(count: int, most: int) -> list[int]:
    """Up to `count` depths from 1 to `most`, evenly spaced; all of them for 0.

    Example:
        >>> evenly(4, 26), evenly(0, 3)
        ([1, 9, 18, 26], [1, 2, 3])
    """
    if not 0 < count < most:
        return list(range(1, most + 1))
    return sorted({round(1 + (most - 1) * step / max(count - 1, 1)) for step in range(count)} | {most})
