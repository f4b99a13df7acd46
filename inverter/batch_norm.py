"""Feature statistics that a network with batch normalisation carries: no picture is needed."""

from __future__ import annotations

import torch
from torch import nn

from inverter.models import Model
from inverter_errors import BadInput
from objectives.feature_statistics import FeatureStatistics, LayerStatistics

LAYERS = 9
"""Layers that are read by default, spread through the depth: see `spread_out`."""
MEAN_SPREAD, STD_SPREAD = 0.3, 0.2
"""Spreads of a channel's mean and standard deviation between photographs, in units of the running deviation: medians
over the layers of EfficientNet-Lite0 and 100 photographs, since the running statistics do not tell pictures apart."""


def spread_out(layers: list[str], count: int = LAYERS) -> list[str]:
    """At most `count` of some layers, evenly spaced, with the first and the last.

    Example:
        >>> spread_out(["a", "b", "c", "d", "e"], 3)
        ['a', 'c', 'e']
    """
    if len(layers) <= count:
        return layers
    return [layers[round(i * (len(layers) - 1) / (count - 1))] for i in range(count)]


def batch_norm_statistics(model: Model, count: int | None = LAYERS) -> FeatureStatistics:
    """Reads the running mean and variance of what enters batch normalisation (DeepInversion, Yin et al. 2020, eq. 4).

    Args:
        model: from `load_model`.
        count: number of layers, spread through the depth; None for all.

    Returns:
        Statistics of the addresses `NAME:in`. The running variance is over positions and pictures together; between
        pictures, means and deviations are taken to vary by .3 and .2 of its root.

    Raises:
        BadInput: for a network without batch normalisation, or one whose running statistics are all 0 and 1: those
            that it starts with, or that were folded into the convolutions.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        >>> _ = net[1].running_mean.fill_(2.0)
        >>> list(batch_norm_statistics(Model(net)).layers)
        ['1:in']
    """
    found = {
        name: part
        for name, part in model.module.named_modules()
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None
    }
    if not found:
        raise BadInput(
            f"{model.spec} has no batch normalisation with running statistics: measure photographs with inverter "
            "statistics --model"
        )
    if not any(_learned(part) for part in found.values()):
        raise BadInput(
            f"the batch normalisation of {model.spec} has only the mean 0 and the variance 1: its statistics were "
            "folded into the weights; measure photographs with inverter statistics --model"
        )
    names = list(model.shapes([f"{name}:in" for name in found], model.input_size))
    names = names if count is None else spread_out(names, count)
    layers = {name: _statistics(found[name.removesuffix(":in")]) for name in names}
    source = "running statistics of batch normalisation"
    return FeatureStatistics(layers, model.spec, model.sha256, 0, model.input_size, source)


def _learned(part: nn.BatchNorm2d) -> bool:
    assert part.running_mean is not None and part.running_var is not None
    return bool(part.running_mean.abs().max() > 1e-3) or bool((part.running_var - 1).abs().max() > 1e-3)


def _statistics(part: nn.BatchNorm2d) -> LayerStatistics:
    assert part.running_mean is not None and part.running_var is not None
    deviation = part.running_var.detach().float().cpu().sqrt()
    return LayerStatistics(
        mean=part.running_mean.detach().float().cpu(),
        std=deviation * torch.tensor(1 - MEAN_SPREAD**2, device="cpu").sqrt(),
        mean_spread=MEAN_SPREAD * deviation,
        std_spread=STD_SPREAD * deviation,
    )
