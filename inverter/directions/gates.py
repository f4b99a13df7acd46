"""What turns preactivations into latents: how a set of directions decides which of them are active."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

GATES: Final = ("none", "relu", "topk", "jumprelu", "nnls")
"""`none`: components and concept vectors. `relu`: negative latents become 0. `topk`: the k largest of each place, where
positive (Makhzani and Frey 2014; Gao et al. 2024). `jumprelu`: those above their threshold (Rajamanoharan et al. 2024).
`nnls`: those that reconstruct best without one below 0, of NMF, from dot products with the decoder.
"""
INPUT_NORMS: Final = ("none", "layer", "length")
ROUNDS: Final = 200
"""Steps of accelerated projected gradient for "nnls"."""
SOLVING: Final = 32
"""Steps of conjugate gradients, at most, for its gradient."""


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
        return gated(values, values > 0)
    if gate == "topk":
        assert k is not None
        chosen = values.detach().topk(k, dim=axis).indices
        return gated(values, torch.zeros_like(values, dtype=torch.bool).scatter(axis, chosen, True) & (values > 0))
    if gate == "nnls":
        assert gram is not None
        products = values.movedim(axis, -1)
        latents = _NonNegative.apply(products, gram)
        # Of a latent that is off, the preactivation is what of the vector the others leave to it.
        climbed = torch.where(latents > 0, latents, products - latents.detach() @ gram)
        return gated(climbed, latents > 0).movedim(-1, axis)
    assert thresholds is not None
    along = [1] * values.ndim
    along[axis] = -1
    return gated(values, values > thresholds.view(along))


def gated(values: Tensor, open: Tensor) -> Tensor:
    """Values where a gate is open, and 0 elsewhere; with no gradient there, unless a `TorchFunctionMode` gives it one.

    Args:
        values: of any shape.
        open: of the same shape, bool.
    """
    if has_torch_function((values,)):
        result: Tensor = handle_torch_function(gated, (values,), values, open)
        return result
    return torch.where(open, values, torch.zeros_like(values))


class _NonNegative(torch.autograd.Function):
    """Argmin over z >= 0 of |x - z D|^2, from the products x D^T; its gradient is that of the active latents' solution.

    Forward by FISTA (Beck and Teboulle 2009), which starts again wherever the objective would rise (O'Donoghue and
    Candes 2015, "Adaptive restart"). At the solution, active latents solve G z = x D^T among themselves, G = D D^T:
    backward solves the same system by conjugate gradients, and no round is kept in memory.
    """

    @staticmethod
    def forward(ctx: Any, products: Tensor, gram: Tensor) -> Tensor:
        step = 1 / torch.linalg.matrix_norm(gram, 2).clamp_min(1e-12)
        latents = ahead = products.relu() * step
        pace = torch.ones_like(latents[..., :1])
        for _ in range(ROUNDS):
            before, latents = latents, (ahead - step * (ahead @ gram - products)).relu()
            back = ((ahead - latents) * (latents - before)).sum(-1, keepdim=True) > 0
            slower = torch.where(back, 1.0, (1 + (1 + 4 * pace * pace).sqrt()) / 2)
            momentum = torch.where(back, 0.0, (pace - 1) / slower)
            ahead, pace = latents + momentum * (latents - before), slower
        ctx.save_for_backward(latents > 0, gram)
        return latents

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        active, gram = ctx.saved_tensors
        rest = along = gradients[0] * active
        found, size = torch.zeros_like(rest), (rest * rest).sum(-1, keepdim=True)
        for _ in range(min(gram.shape[0], SOLVING)):
            turned = (along @ gram) * active
            length = size / (along * turned).sum(-1, keepdim=True).clamp_min(1e-30)
            found, rest, before = found + length * along, rest - length * turned, size
            size = (rest * rest).sum(-1, keepdim=True)
            along = rest + size / before.clamp_min(1e-30) * along
        return found, None


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
