"""How good a set of directions is: explained variance, sparsity, dead latents, and stability."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from inverter.directions.directions import Directions
from inverter.directions.gates import input_moments

CHUNK = 4096
"""Rows compared at a time."""


@dataclass(frozen=True)
class Quality:
    """What a set of directions does to activation vectors.

    Attributes:
        explained_variance: 1 - sum |x - decode(encode(x))|^2 / sum |x - mean|^2, at most 1.
        l0: mean number of active latents of a vector (those that are not 0).
        dead: share of latents that are active in no vector.
    """

    explained_variance: float
    l0: float
    dead: float


@torch.no_grad()
def quality(directions: Directions, parts: Iterable[Tensor]) -> Quality:
    """Measures a set of directions on activation vectors, part by part.

    Args:
        directions: to measure.
        parts: (n, C) each, on any device.
    """
    device = directions.decoder.device
    count, active, error = 0, torch.zeros(directions.count, device=device), 0.0
    total, squares = torch.zeros(directions.channels, dtype=torch.float64, device=device), 0.0
    for part in parts:
        vectors = part.to(device).float()
        latents = directions.encode(vectors)
        mean, spread = input_moments(vectors, directions.input_norm)
        error += float((vectors - directions.decode(latents) * spread - mean).double().square().sum())
        active += (latents != 0).sum(0)
        total += vectors.double().sum(0)
        squares += float(vectors.double().square().sum())
        count += len(vectors)
    variance = squares - float(total.square().sum()) / count
    return Quality(1 - error / max(variance, 1e-30), float(active.sum()) / count, float((active == 0).float().mean()))


@torch.no_grad()
def stability(first: Directions, second: Directions) -> float:
    """How alike two sets are: the mean, over the first's directions, of the largest cosine to one of the second.

    Sharkey et al. 2022, "Taking features out of superposition with sparse autoencoders" (mean max cosine similarity).

    Args:
        first: a set.
        second: another set of the same layer, such as one of another seed.

    Returns:
        1 for the same directions.
    """
    one, other = (torch.nn.functional.normalize(each.decoder, dim=1) for each in (first, second))
    best = [(rows @ other.to(rows.device).T).max(1).values for rows in one.split(CHUNK)]
    return float(torch.cat(best).mean())
