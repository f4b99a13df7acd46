"""Distributions of features: the sorted values of each channel, matched to those of reference pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput, plural
from objectives.base import Activations, Objective
from objectives.feature_statistics import FeatureStatistics
from objectives.targets import Targets
from objectives.units import as_map


def sorted_values(maps: Tensor, ranks: int) -> Tensor:
    """Each channel's values in rising order, at evenly spaced ranks of its positions.

    Args:
        maps: (B, C, H, W).
        ranks: number of values; between the H * W that there are, they are interpolated.

    Returns:
        (B, C, ranks), float32.

    Example:
        >>> sorted_values(torch.tensor([4.0, 0, 2, 1, 3]).view(1, 1, 1, 5), 3).tolist()
        [[[0.0, 2.0, 4.0]]]
    """
    rising = maps.flatten(2).sort(2).values.float()
    return rising if rising.shape[2] == ranks else F.interpolate(rising, ranks, mode="linear", align_corners=True)


Relevance = Mapping[str, Tensor]
"""How much each channel of a layer counts: layer -> (C,), >= 0."""


def distribution(
    layers: Sequence[str] | None,
    reference: FeatureStatistics | Sequence[FeatureStatistics],
    relevance: Relevance | Sequence[Relevance] | None = None,
) -> Objective:
    """Minus the distance between the sorted values of each channel and those of reference pictures (sort matching).

    As in VITAL (ICCV 2025), the values of a channel at all positions, in rising order, are compared rank by rank,
    wherever they are in the picture: -sum_c r_c mean_q (s_cq - t_cq)^2 / sum_c r_c var_q t_cq, averaged over layers. 0
    is an equal distribution, -1 that of constant channels of the right means. References are photographs of a class,
    or the patches that activate a unit most, measured with `inverter statistics --ranks`.

    Args:
        layers: addresses of layers with maps (B, C, H, W); None for all of the reference.
        reference: with `sorted_values`, of the same network; or one for each image of a batch.
        relevance: layer -> (C,), >= 0, how much each channel counts, such as its mean attribution, or one such mapping
            for each reference; by default equal.

    Returns:
        The objective, for a batch of any size, with scores <= 0.

    Raises:
        BadInput: for no layers, no references or another number of relevances, a reference without sorted values or
            whose channels are all constant, or a relevance of another width, below zero or all zero; when scored, for
            a layer of another width than the reference.
        NotFound: for a layer that the reference does not have.

    Example:
        >>> from objectives.feature_statistics import LayerStatistics
        >>> layer = LayerStatistics(*torch.ones(4, 1), sorted_values=torch.tensor([[0.0, 1.0, 2.0]]))
        >>> photos = FeatureStatistics({"conv": layer}, "module", "", 9, (224, 224), "photographs of one class")
        >>> shuffled = torch.tensor([2.0, 0.0, 1.0]).view(1, 1, 1, 3)
        >>> distribution(None, photos).score(Activations({"conv": shuffled})).abs()
        tensor([0.])
    """
    references = [reference] if isinstance(reference, FeatureStatistics) else list(reference)
    weights = [relevance or {}] * len(references) if isinstance(relevance, Mapping | None) else list(relevance)
    if not references or len(weights) != len(references):
        raise BadInput(
            f"distribution: got {plural(len(references), 'reference')} and {plural(len(weights), 'relevance')}; "
            "expected at least one, and as many of both"
        )
    chosen = tuple(references[0].layers if layers is None else dict.fromkeys(layers))
    if not chosen:
        raise BadInput("distribution: got no layers; expected at least one address, or None for all of the reference")
    targets = {
        layer: Targets(torch.stack([_target(layer, *each) for each in zip(references, weights, strict=True)]))
        for layer in chosen
    }

    def score(activations: Activations) -> Tensor:
        parts = []
        for layer in chosen:
            maps = as_map(activations[layer], layer)
            there = activations.pick(targets[layer](maps.device))
            counted, target = there[:, :, 0], there[:, :, 1:]
            if maps.shape[1] != target.shape[1]:
                raise BadInput(
                    f"layer {layer!r} has {plural(maps.shape[1], 'channel')}, the reference {target.shape[1]}: measure "
                    "it with this network"
                )
            difference = sorted_values(maps, target.shape[2]) - target
            parts.append((difference.square().mean(2) * counted).sum(1))
        return -torch.stack(parts).mean(0)

    form, read = ("distribution", chosen), tuple(targets.values())
    return Objective(f"distribution({','.join(chosen)})", chosen, score, form=form, targets=read)


def _target(layer: str, reference: FeatureStatistics, relevances: Relevance) -> Tensor:
    """(C, 1 + Q): the weight of each channel, in which the distance is relative, and its sorted values."""
    values, relevance = reference[layer].sorted_values, relevances.get(layer)
    if values is None:
        raise BadInput(f"the reference has no sorted values of layer {layer!r}: measure it with --ranks 256")
    weights = torch.ones(len(values), dtype=torch.float32) if relevance is None else relevance.detach().cpu().float()
    if weights.shape != (len(values),) or bool((weights < 0).any()) or not bool(weights.any()):
        raise BadInput(
            f"relevance of layer {layer!r}: expected {len(values)} numbers of at least 0, not all 0, got shape "
            f"{tuple(weights.shape)}"
        )
    spread = (weights * values.var(1, correction=0)).sum()
    if not bool(spread > 0):
        raise BadInput(f"the channels of layer {layer!r} are constant in the reference: choose another layer")
    return torch.cat([(weights / spread)[:, None], values], 1)
