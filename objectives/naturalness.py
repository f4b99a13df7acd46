"""How natural a picture's features are: the moments of its channels compared with those of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput, plural
from objectives.base import Activations, Objective
from objectives.feature_statistics import FeatureStatistics, LayerStatistics
from objectives.targets import Targets
from objectives.units import as_map

FLOOR: Final = 0.1
"""Least spread of a channel, relative to the mean spread of its layer: channels that hardly vary between photographs
(of a pruned network, dead ones) would outweigh all others."""


class _Moments(torch.autograd.Function):
    """Means and mean squares over positions, in float32 without a float32 copy of the maps; gradients in one pass."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(maps)
        if maps.is_cuda:  # fused there: a CPU's norm is slower than a product
            square = torch.linalg.vector_norm(maps, dim=(2, 3), dtype=torch.float32).square()
            square = square / (maps.shape[2] * maps.shape[3])
        else:
            square = maps.square().mean((2, 3), dtype=torch.float32)
        return maps.mean((2, 3), dtype=torch.float32), square

    @staticmethod
    def backward(ctx: Any, mean: Tensor, square: Tensor) -> Tensor:
        (maps,) = ctx.saved_tensors
        positions = maps.shape[2] * maps.shape[3]
        shift, factor = ((g / positions).to(maps.dtype)[:, :, None, None] for g in (mean, 2 * square))
        return torch.addcmul(shift, factor, maps)


def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Each channel's mean and standard deviation over positions.

    Args:
        maps: (B, C, H, W), of any floating-point type.

    Returns:
        Two (B, C), float32. The gradient of a constant channel's standard deviation is zero.

    Example:
        >>> [value.tolist() for value in moments(torch.tensor([1.0, 3.0]).view(1, 1, 1, 2))]
        [[[2.0]], [[1.0]]]
    """
    mean, square = _Moments.apply(maps)
    variance = square - mean.square()
    positive = variance > 1e-6 * square  # less is the rounding of the difference
    return mean, torch.where(positive, torch.where(positive, variance, 1.0).sqrt(), 0.0)


def natural(layers: Sequence[str] | None, statistics: FeatureStatistics) -> Objective:
    """Minus the distance of a picture's channel means and deviations from those of photographs.

    z is the difference of a channel's mean (or standard deviation) over positions from that of the average photograph,
    in units of its spread between photographs. The score is minus the mean of max(|z| - 1, 0)^2 over both moments, all
    channels and all layers: 0 for a picture whose features lie within the usual range. It follows the statistics
    of DeepInversion (Yin et al. 2020, eq. 4), for each picture instead of a batch, and with the spread as the unit.
    Add it to an objective with a weight: `logit(9) + 10 * natural(None, statistics)`.

    Args:
        layers: addresses of layers with maps (B, C, H, W) or vectors (B, C); None for all that were measured. Layers
            that run before those of the objective itself cost no further forward pass.
        statistics: of the same network.

    Returns:
        The objective, for a batch of any size, with scores <= 0, one for each picture.

    Raises:
        BadInput: for no layers; when scored, for a layer of another width than its statistics.
        NotFound: for a layer that was not measured.

    Example:
        >>> usual = LayerStatistics(mean=torch.zeros(1), std=torch.ones(1), mean_spread=torch.ones(1),
        ...                         std_spread=torch.ones(1))
        >>> statistics = FeatureStatistics({"conv": usual}, "module", "", 400, (224, 224), "photographs")
        >>> image = torch.tensor([4.0, 6.0]).view(1, 1, 1, 2)  # mean 5, deviation 1
        >>> natural(None, statistics).score(Activations({"conv": image}))
        tensor([-8.])
    """
    chosen = tuple(statistics.layers if layers is None else dict.fromkeys(layers))
    if not chosen:
        raise BadInput("natural: got no layers; expected at least one address, or None for all that were measured")
    on = {layer: Targets(_centres_and_units(statistics[layer])) for layer in chosen}

    def score(activations: Activations) -> Tensor:
        return -sum(
            (distances(layer, activations[layer], on[layer](activations[layer].device)) for layer in chosen),
            start=torch.zeros((), device=activations[chosen[0]].device),
        ) / len(chosen)

    form, targets = ("natural", chosen), tuple(on.values())
    return Objective(f"natural({','.join(chosen)})", chosen, score, form=form, targets=targets)


def _centres_and_units(layer: LayerStatistics) -> Tensor:
    """(4, C): means of both moments, then their spreads, each with the least spread that counts."""
    spreads = [
        spread.clamp(min=max(FLOOR * float(spread.mean()), 1e-12)) for spread in (layer.mean_spread, layer.std_spread)
    ]
    return torch.stack([layer.mean, layer.std, *spreads])


def distances(layer: str, activation: Tensor, usual: Tensor) -> Tensor:
    """The distance of each picture's features from the usual ones at one layer, (B,)."""
    maps = as_map(activation, layer)
    if maps.shape[1] != usual.shape[1]:
        raise BadInput(
            f"layer {layer!r} has {plural(maps.shape[1], 'channel')}, its feature statistics {usual.shape[1]}: measure "
            "them with this network"
        )
    mean, std = moments(maps)
    beyond = [F.relu((mean - usual[0]).abs() / usual[2] - 1).square()]
    if maps.shape[2:].numel() > 1:
        beyond.append(F.relu((std - usual[1]).abs() / usual[3] - 1).square())
    return torch.stack(beyond).mean((0, 2))


def naturally(
    objective: Objective, statistics: FeatureStatistics, weight: float = 0.03, layers: Sequence[str] | None = None
) -> Objective:
    """An objective together with `natural`, whose weight is relative to the size of the objective's own score.

    f(x) + weight |f(x)| natural(x), where |f(x)| counts as a constant: it has no gradient. So one weight fits
    activations of 1 and of 1,000, and an objective that is still near zero is hardly held back.

    Args:
        objective: what is maximised.
        statistics: of the same network.
        weight: of the distance, relative to the score: about .03 for activations, .7 for logits.
        layers: as in `natural`.

    Returns:
        The objective, with the same targets and labels.

    Raises:
        BadInput: as `natural`.
        NotFound: as `natural`.

    Example:
        >>> usual = LayerStatistics(*torch.ones(4, 1))
        >>> statistics = FeatureStatistics({"conv": usual}, "module", "", 400, (224, 224), "photographs")
        >>> from objectives import channel
        >>> naturally(channel("conv", 0), statistics).score(Activations({"conv": torch.full((1, 1, 1, 1), 4.0)}))
        tensor([3.5200])
    """
    return held(objective, natural(layers, statistics), weight, "naturally")


def held(objective: Objective, distance: Objective, weight: float, name: str) -> Objective:
    """An objective together with minus a distance, whose weight is relative to the size of the objective's own score.

    Args:
        objective: f, what is maximised.
        distance: d, with scores <= 0.
        weight: w of f + w |f| d, in which |f| has no gradient.
        name: of the combination.

    Returns:
        The objective, with the targets and labels of `objective`.
    """

    def score(activations: Activations) -> Tensor:
        value = objective.score(activations)
        return value + weight * value.detach().abs() * distance.score(activations)

    return replace(
        objective,
        name=f"{name}({objective.name})",
        reads=tuple(dict.fromkeys(objective.reads + distance.reads)),
        score=score,
        form=None if objective.form is None else (name, objective.form, distance.form, weight),
        targets=objective.targets + distance.targets,
    )
