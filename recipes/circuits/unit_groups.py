"""What drives a unit in each of its top patches, in groups, with a direction of the layer before for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inverter import Model
from recipes.activations.responses import PatchRecord, responses
from recipes.circuits.attributions import input_attributions
from recipes.circuits.groups import Groups, grouped
from recipes.gallery.dataset_examples import DatasetExamples
from recipes.options.names import address


@dataclass(frozen=True)
class UnitGroups:
    """A unit's patches in groups.

    Attributes:
        patches: the unit's top patches, strongest first.
        groups: the group of each.
        directions: (G, C) of the layer before, for the G groups: what adds to the unit in these patches and not in the
            others; of length 1.
    """

    patches: Sequence[PatchRecord]
    groups: Groups
    directions: Tensor

    def members(self, group: int) -> list[PatchRecord]:
        """The patches of a group, strongest first."""
        return [patch for patch, label in zip(self.patches, self.groups.labels, strict=True) if label == group]


def unit_groups(
    model: Model,
    examples: DatasetExamples,
    layer: str,
    channels: Sequence[int],
    inputs: str,
    patches: int,
    most: int,
    seed: int = 0,
) -> dict[int, UnitGroups]:
    """Groups the top patches of units by the attribution of the unit to the layer before (PURE, Dreyer et al. 2024).

    Args:
        model: the network.
        examples: the responses of the layer to a set of pictures.
        layer: the units' layer, as manifests name it.
        channels: indices of the units.
        inputs: address of the layer before.
        patches: top patches of each unit.
        most: largest number of groups.
        seed: of the grouping.

    Returns:
        Channel -> its groups; units that are constant over all pictures are left out.

    Raises:
        BadInput: if the layer does not depend on `inputs`.
        MissingLibrary: without scikit-learn.
    """
    ranked = responses(examples.collected, address(layer), channels, "channel", patches)
    top = {channel: each.most for channel, each in zip(channels, ranked, strict=True) if len(each.most) > 2}
    vectors = _vectors(model, examples, address(layer), top, inputs)
    found = {}
    for channel, records in top.items():
        groups = grouped(vectors[channel], most, seed)
        found[channel] = UnitGroups(records, groups, _directions(vectors[channel], groups))
    return found


def _vectors(
    model: Model, examples: DatasetExamples, layer: str, top: Mapping[int, Sequence[PatchRecord]], inputs: str
) -> dict[int, np.ndarray[Any, Any]]:
    """What each channel of the layer before adds to each unit in each of its patches: channel -> (N, C)."""
    where: dict[int, list[tuple[int, int]]] = {}
    for channel, records in top.items():
        for place, record in enumerate(records):
            where.setdefault(record.picture, []).append((channel, place))
    read = (
        (
            examples.pictures.read(picture, examples.collected.size),
            [(channel, top[channel][place].at) for channel, place in rows],
        )
        for picture, rows in where.items()
    )
    found: dict[int, list[Any]] = {channel: [None] * len(records) for channel, records in top.items()}
    for rows, maps in zip(where.values(), input_attributions(model, read, layer, inputs), strict=True):
        for (channel, place), vector in zip(rows, maps.sum((2, 3)).numpy(), strict=True):
            found[channel][place] = vector
    return {channel: np.stack(each) for channel, each in found.items()}


def _directions(vectors: np.ndarray[Any, Any], groups: Groups) -> Tensor:
    """The mean of each group's attributions less that of the other groups, of length 1; of one group, its mean."""
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    means = np.stack([units[groups.labels == each].mean(0) for each in range(groups.count)])
    if groups.count > 1:
        means = means - (means.sum(0) - means) / (groups.count - 1)
    return torch.nn.functional.normalize(torch.from_numpy(means).float(), dim=1)
