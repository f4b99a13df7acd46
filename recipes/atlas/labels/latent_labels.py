"""What a cell of an atlas is called by the latents of a set of directions: those that are strongest in its members."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from inverter import Model

Array = np.ndarray[Any, Any]
LABELS = 5
"""Latents of a cell, at most."""


def latent_labels(model: Model, layer: str, members: Array) -> list[dict[str, Any]]:
    """The latents with the highest mean over a cell's members.

    Args:
        model: the network, with the sets of directions.
        layer: of the atlas: one that the sets are of, or that of the latents of one.
        members: activations (N, C) of the cell.

    Returns:
        JSON values, the strongest first: `latent` (its index), `value` (its mean, above 0), and `name` where it has
        one; empty without directions of this layer.
    """
    vectors, found = torch.from_numpy(np.array(members, dtype=np.float32)), list[dict[str, Any]]()
    for address in model.derived_layers():
        directions = model.directions_of(address)
        if directions is None or layer not in (address, address.rpartition(":")[0]):
            continue
        means = (vectors if layer == address else directions.encode(vectors)).mean(0)
        values, best = means.topk(min(LABELS, len(means)))
        for latent, value in zip(best.tolist(), values.tolist(), strict=True):
            if value > 0:
                name = directions.label(latent)
                found.append({"latent": latent, "value": value} | ({"name": name} if name else {}))
    return sorted(found, key=lambda each: -each["value"])[:LABELS]
