"""Feature statistics of a set of pictures, measured in one resumable pass through the network."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from inverter import Model
from inverter_errors import BadInput
from objectives import FeatureStatistics, LayerStatistics
from objectives.distributions import sorted_values
from objectives.naturalness import moments
from objectives.units import as_map
from recipes.activations.collect import collect
from recipes.activations.reducers import Arrays, Rows
from recipes.pictures.sets import Pictures

if TYPE_CHECKING:
    from recipes.activations.collect import CollectedActivations
    from recipes.executors.progress import RunProgressCallback


@dataclass(frozen=True)
class ChannelMoments:
    """A reducer: each channel's mean and standard deviation over positions, one row per picture.

    The arrays are `mean` and `std` (N, C); with ranks, `sorted` (N, C, ranks), the channel's values in rising order at
    evenly spaced ranks of its positions.

    Example:
        >>> ChannelMoments(2).rows("conv", torch.tensor([3.0, 1.0, 2.0]).view(1, 1, 1, 3), [0])["sorted"].tolist()
        [[[1.0, 3.0]]]
    """

    ranks: int = 0

    def about(self) -> dict[str, Any]:
        return {"reducer": "channel moments", **asdict(self)}

    def arrays(self, layer: str, shape: Sequence[int]) -> Arrays:
        channels = as_map(torch.empty(1, *shape, device="meta"), layer).shape[1]
        arrays: Arrays = {"mean": ((channels,), "float32"), "std": ((channels,), "float32")}
        return arrays | ({"sorted": ((channels, self.ranks), "float32")} if self.ranks else {})

    def rows(self, layer: str, activation: Tensor, indices: Sequence[int]) -> Rows:
        maps = as_map(activation, layer)
        mean, std = moments(maps)
        kept = {"mean": mean, "std": std} | ({"sorted": sorted_values(maps, self.ranks)} if self.ranks else {})
        return {name: rows.cpu().numpy() for name, rows in kept.items()}


def measure_features(
    model: Model,
    pictures: Pictures,
    layers: Sequence[str],
    work: Path,
    *,
    source: str = "",
    size: tuple[int, int] | None = None,
    ranks: int = 0,
    covariance: bool = False,
    progress: RunProgressCallback | None = None,
) -> tuple[FeatureStatistics, dict[str, str]]:
    """Measures a set of pictures at layers of a network; an interrupted pass resumes.

    Args:
        model: the network.
        pictures: as `recipes.pictures.sets.picture_set` takes them.
        layers: addresses.
        work: a path for the folder of what was measured so far; it is removed at the end.
        source: a description of the pictures.
        size: (height, width) at which the network sees them; default: its own.
        ranks: of `sorted_values`; 0 leaves them out.
        covariance: measure the covariance of the channels' means.
        progress: called with a `RunProgress`, in pictures.

    Returns:
        The statistics, and why some pictures could not be read, by name.

    Raises:
        BadInput: for fewer than two readable pictures, or a layer without channels.
        LayerNotFound: for an unknown layer.
        MissingFile: for pictures that are not there.
        KeyboardInterrupt: passes through; the same call resumes.
    """
    settings = [list(layers), list(size or ()), ranks, model.sha256, model.mean, model.std]
    folder = work.with_name(f"{work.name}.{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]}")
    found = collect(model, pictures, layers, ChannelMoments(ranks), out=folder, size=size, progress=progress)
    order = [layer for layer in model.shapes(layers, found.size) if layer in found.shapes]
    statistics = FeatureStatistics(
        {layer: _summary(found, layer, ranks, covariance) for layer in order},
        model.spec,
        model.sha256,
        len(found.names) - len(found.skipped),
        found.size,
        source,
    )
    skipped = dict(found.skipped)
    for other in work.parent.glob(f"{work.name}.*"):
        shutil.rmtree(other)
    return statistics, skipped


def _summary(found: CollectedActivations, layer: str, ranks: int, covariance: bool) -> LayerStatistics:
    means, deviations = found.array(layer, "mean"), found.array(layer, "std")
    if len(means) < 2:
        raise BadInput("expected at least two readable pictures, got 1: the spread between pictures is measured")
    return LayerStatistics(
        mean=torch.from_numpy(means.mean(0, np.float64)),
        std=torch.from_numpy(deviations.mean(0, np.float64)),
        mean_spread=torch.from_numpy(means.std(0, np.float64)),
        std_spread=torch.from_numpy(deviations.std(0, np.float64)),
        sorted_values=torch.from_numpy(found.array(layer, "sorted").mean(0, np.float64)) if ranks else None,
        covariance=torch.from_numpy(np.atleast_2d(np.cov(means, rowvar=False))) if covariance else None,
    )
