"""What turns preactivations into latents: how a set of directions decides which of them are active."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

GATES: Final = ("none", "relu", "topk", "jumprelu")
"""`none`: components and concept vectors. `relu`: negative latents become 0. `topk`: the k largest of each place, where
positive (Makhzani and Frey 2014; Gao et al. 2024). `jumprelu`: those above their threshold (Rajamanoharan et al. 2024).
"""


def opened(values: Tensor, gate: str, axis: int, k: int | None = None, thresholds: Tensor | None = None) -> Tensor:
    """The latents of preactivations.

    Args:
        values: preactivations, with N latents along `axis`.
        gate: one of `GATES`.
        axis: of the latents.
        k: latents of one place that "topk" leaves.
        thresholds: (N,) of "jumprelu".

    Returns:
        The same, with 0 for latents that are not active.
    """
    if gate == "none":
        return values
    if gate == "relu":
        return values.relu()
    if gate == "topk":
        assert k is not None
        strongest = values.topk(k, dim=axis)
        return torch.zeros_like(values).scatter(axis, strongest.indices, strongest.values.relu())
    assert thresholds is not None
    along = [1] * values.ndim
    along[axis] = -1
    return torch.where(values > thresholds.view(along), values, torch.zeros_like(values))
