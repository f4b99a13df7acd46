"""What turns preactivations into latents: how a set of directions decides which of them are active."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

GATES: Final = ("none", "relu", "topk", "jumprelu", "nnls")
"""`none`: components and concept vectors. `relu`: negative latents become 0. `topk`: the k largest of each place, where
positive (Makhzani and Frey 2014; Gao et al. 2024). `jumprelu`: those above their threshold (Rajamanoharan et al. 2024).
`nnls`: those that reconstruct best without one below 0, of NMF, from dot products with the decoder.
"""
INPUT_NORMS: Final = ("none", "layer", "length")
ROUNDS: Final = 200
"""Steps of accelerated projected gradient for "nnls"."""


def opened(
    values: Tensor,
    gate: str,
    axis: int,
    k: int | None = None,
    thresholds: Tensor | None = None,
    gram: Tensor | None = None,
) -> Tensor:
    """The latents of preactivations.

    Args:
        values: preactivations, with N latents along `axis`.
        gate: one of `GATES`.
        axis: of the latents.
        k: latents of one place that "topk" leaves.
        thresholds: (N,) of "jumprelu".
        gram: (N, N) of "nnls": dot products of the decoder's rows with each other.

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
    if gate == "nnls":
        assert gram is not None
        return _non_negative(values.movedim(axis, -1), gram).movedim(-1, axis)
    assert thresholds is not None
    along = [1] * values.ndim
    along[axis] = -1
    return torch.where(values > thresholds.view(along), values, torch.zeros_like(values))


def _non_negative(products: Tensor, gram: Tensor) -> Tensor:
    """Argmin over z >= 0 of |x - z D|^2, from the products x D^T, by FISTA (Beck and Teboulle 2009).

    It starts again wherever the objective would rise (O'Donoghue and Candes 2015, "Adaptive restart").
    """
    step = 1 / torch.linalg.matrix_norm(gram, 2).clamp_min(1e-12)
    latents = ahead = products.relu() * step
    pace = torch.ones_like(latents[..., :1])
    for _ in range(ROUNDS):
        before, latents = latents, (ahead - step * (ahead @ gram - products)).relu()
        back = ((ahead - latents) * (latents - before)).sum(-1, keepdim=True) > 0
        slower = torch.where(back, 1.0, (1 + (1 + 4 * pace * pace).sqrt()) / 2)
        momentum = torch.where(back, 0.0, (pace - 1) / slower)
        ahead, pace = latents + momentum * (latents - before), slower
    return latents


def input_moments(vectors: Tensor, norm: str) -> tuple[Tensor | float, Tensor | float]:
    """What each vector is reduced by and divided by before it is encoded.

    Args:
        vectors: (..., C).
        norm: one of `INPUT_NORMS`, as SAELens defines them: its `layer_norm` and `constant_norm_rescale`.

    Returns:
        Two tensors (..., 1), or 0 and 1.
    """
    if norm == "layer":
        return vectors.mean(-1, keepdim=True), vectors.std(-1, keepdim=True) + 1e-5
    if norm == "length":
        return 0.0, vectors.norm(dim=-1, keepdim=True) / math.sqrt(vectors.shape[-1])
    return 0.0, 1.0
