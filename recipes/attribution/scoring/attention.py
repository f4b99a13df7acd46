"""The attention that a target depends on: the weights of each layer with their gradients, and maps of its tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inverter import Model
from inverter.capture.attention import Attention, read_attention
from inverter.capture.axes import Axes
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.scoring.forward import know_axes, score_function


@dataclass(frozen=True, eq=False)
class Weighted:
    """The weights of one attention, and the gradient of the score with respect to them.

    Attributes:
        layer: address of the module that computed them.
        inside: names of the modules that it ran in, from the network to `layer`.
        weights: A, (B, heads, N, M): how much each of N tokens takes of each of M.
        gradient: dS/dA, of the same shape.
    """

    layer: str
    inside: tuple[str, ...]
    weights: Tensor
    gradient: Tensor


def attention_gradients(model: Model, images: Tensor, target: Objective, method: str) -> list[Weighted]:
    """The attention between all tokens that the target depends on, in the order in which it runs.

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        target: the objective.
        method: the name of the caller, for errors.

    Raises:
        BadInput: if the target depends on no attention, on attention within windows, or on layers that have different
            numbers of tokens.
    """
    know_axes(model, target, (images.shape[2], images.shape[3]))
    with torch.enable_grad(), read_attention(model.module) as seen, score_function(model, target) as score:
        total = score(images.detach().requires_grad_()).sum()
        ran = [each for each in seen if each.weights.requires_grad]
        weights = [each.weights for each in ran]
        gradients = torch.autograd.grad(total, weights, allow_unused=True) if weights and total.requires_grad else ()
    found = [(each, given) for each, given in zip(ran, gradients, strict=False) if given is not None]
    if not found:
        raise BadInput(
            f"{method} follows attention, and {target.label(0)} of {model.spec} depends on none that can be seen: "
            "use grad-cam"
        )
    tokens = found[0][0].weights.shape[-1]
    for each, _ in found:
        _check_global(each, len(images), tokens, method)
        tokens = each.weights.shape[-2]
    names = [tuple(name for name, _ in each.inside) for each, _ in found]
    return [
        Weighted(each.layer, inside, each.weights.detach().float(), given.float())
        for (each, given), inside in zip(found, names, strict=True)
    ]


def _check_global(attention: Attention, batch: int, tokens: int, method: str) -> None:
    if (windows := len(attention.weights) // batch) != 1:
        raise BadInput(
            f"{method} follows attention between all places of a picture, and {attention.layer!r} attends within "
            f"{windows} windows of {attention.weights.shape[-1]} places: use grad-cam"
        )
    if attention.weights.shape[-1] != tokens:
        raise BadInput(
            f"{method} follows the same tokens from layer to layer, and {attention.layer!r} attends to "
            f"{attention.weights.shape[-1]} of them after a layer of {tokens}: use grad-cam"
        )


def read_rows(last: Weighted) -> Tensor:
    """The tokens that the target reads after the last attention, as weights (B, 1, N) that sum to 1.

    Of a classifier with a class token it is that token alone; of one that averages tokens, all of them.
    """
    read = (last.gradient != 0).any(3).any(1).float()
    return (read / read.sum(1, keepdim=True).clamp_min(1))[:, None]


def token_maps(model: Model, first: Weighted, relevance: Tensor, size: tuple[int, int]) -> Tensor:
    """Numbers of the tokens that an attention attends to as maps of their places; other tokens are left out.

    Args:
        model: the network.
        first: the attention.
        relevance: (B, M).
        size: (height, width) of the images.

    Returns:
        (B, h, w).

    Raises:
        BadInput: if the places of the tokens are not known.
    """
    axes = model.axes(first.layer, size)
    if axes is None or not axes.tokens or not axes.ordered:
        raise BadInput(
            f"the places of the {relevance.shape[1]} tokens of {first.layer!r} in {model.spec} are not known: load the "
            "model with axes, or use grad-cam"
        )
    return Axes("BCN", prefix=axes.prefix).maps(relevance[:, None], len(relevance), size)[:, 0]
