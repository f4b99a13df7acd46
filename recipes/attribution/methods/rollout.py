"""Rollout: what reaches each token through the attention of all layers."""

from __future__ import annotations

import torch
from torch import Tensor

from inverter import Model
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.scoring.attention import attention_gradients, read_rows, token_maps


@method("attention-rollout", paper="Abnar & Zuidema 2020", attention=True)
def attention_rollout(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """Attention rollout (Abnar & Zuidema 2020, eq. 1): the product of A / 2 + I / 2 of all layers before the target.

    A is the mean of a layer's heads, and I stands for its residual connection. The map is the row of the class token,
    or the mean of the rows of all tokens that the target reads. Which target it is plays no part.
    """
    found = attention_gradients(model, images, target, "attention-rollout")
    reached = _identity(found[0].weights)
    for each in found:
        mean = each.weights.mean(1)
        square = mean.shape[1] == mean.shape[2]
        reached = (mean @ reached + reached) / 2 if square else mean @ reached
    relevance = (read_rows(found[-1]) @ reached)[:, 0]
    return token_maps(model, found[0], relevance, (images.shape[2], images.shape[3]))


@method("gradient-rollout", paper="Chefer et al. 2021", attention=True)
def gradient_rollout(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """Gradient-weighted rollout (Chefer et al. 2021, "Generic Attention-model Explainability", eq. 5 and 6).

    R <- R + A' R for each layer, with A' the mean over the heads of ReLU(A dS/dA) and R = I at the start. The map is
    the row of the class token, or the mean of the rows of all tokens that the target reads, without their own share.
    """
    found = attention_gradients(model, images, target, "gradient-rollout")
    start = reached = _identity(found[0].weights)
    for each in found:
        weighted = (each.gradient * each.weights).relu().mean(1)
        square = weighted.shape[1] == weighted.shape[2]
        reached, start = (reached + weighted @ reached, start) if square else (weighted @ reached, 0 * weighted)
    relevance = (read_rows(found[-1]) @ (reached - start))[:, 0]
    return token_maps(model, found[0], relevance, (images.shape[2], images.shape[3]))


def _identity(weights: Tensor) -> Tensor:
    """(1, M, M), each of M tokens by itself."""
    return torch.eye(weights.shape[-1], device=weights.device)[None]
