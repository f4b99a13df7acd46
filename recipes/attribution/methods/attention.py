"""Heat maps from the attention of all layers: rollout, gradient-weighted rollout and LeGrad."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from inverter import Model
from inverter.capture.attention import read_attention
from inverter.capture.outputs import first_tensor
from inverter_errors import BadInput
from objectives import Activations, Objective
from recipes.attribution.method import method
from recipes.attribution.scoring.attention import Weighted, attention_gradients, read_rows, token_maps
from recipes.attribution.scoring.forward import target_rows
from recipes.attribution.scoring.layers import check_runs
from recipes.attribution.scoring.replacing import replaced_activation


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


def _check(*, layers: int) -> None:
    if layers < 0:
        raise BadInput(f"legrad: layers must be at least 0, got {layers}")


@method(
    "legrad",
    check=_check,
    paper="Bousselham et al. 2024",
    attention=True,
    help={"layers": "number of layers, the last ones before the target; 0 takes all"},
)
def legrad(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, layers: int = 2) -> Tensor:
    """LeGrad (Bousselham et al. 2024): the mean over layers, heads and tokens of ReLU(dS_l/dA_l).

    S_l is the score of the tokens of layer l: the network goes on after its last layer with their mean in the place of
    each token. That, and the number of layers, are those of the authors' code. A layer is the outermost module with one
    attention in it.
    """
    size = (images.shape[2], images.shape[3])
    found = attention_gradients(model, images, target, "legrad")
    blocks = _blocks(found)
    while not _runs(model, target, blocks[-1], size):
        blocks.pop()
        if not blocks:
            raise BadInput(f"legrad: {target.label(0)} reads no tokens after a layer of {model.spec}: use grad-cam")
    blocks, seen = blocks[-layers:], list[Tensor]()

    def collect(_module: Any, _inputs: Any, output: Any) -> None:
        if (tokens := first_tensor(output)) is not None:
            seen.append(tokens)

    def means(last: Tensor) -> Tensor:
        if any(each.shape != last.shape for each in seen):
            raise BadInput(f"legrad: the layers of {model.spec} have different numbers of tokens: use grad-cam")
        return torch.cat([each.mean(1, keepdim=True).expand_as(each) for each in seen])

    with torch.enable_grad(), ExitStack() as stack:
        for name in blocks:
            stack.callback(model.module.get_submodule(name).register_forward_hook(collect).remove)
        stack.enter_context(replaced_activation(model, f"{blocks[-1]}@all", size, means))
        ran = stack.enter_context(read_attention(model.module))
        capture = stack.enter_context(model.capture(target.reads))
        read = capture(model.normalize(images.detach().requires_grad_()))
        copies, rows = images.repeat(len(blocks), 1, 1, 1), target_rows(images, len(blocks))
        scores = target.score(Activations(read, copies, rows)).float().view(len(blocks), -1)
        weights = [next(each.weights for each in ran if (name, 0) in each.inside) for name in blocks]
        gradients = [
            torch.autograd.grad(score.sum(), own, retain_graph=True)[0].relu().mean((1, 2))
            for score, own in zip(scores, weights, strict=True)
        ]
    return token_maps(model, found[0], torch.stack(gradients).mean(0), size)


def _blocks(found: list[Weighted]) -> list[str]:
    """The outermost module around each attention between the same tokens that contains no other."""
    names: list[str] = []
    for each in found:
        others = {name for other in found if other is not each for name in other.inside}
        if each.weights.shape[2] == each.weights.shape[3]:
            names.append(next((name for name in each.inside if name not in others), each.layer))
    return names


def _runs(model: Model, target: Objective, block: str, size: tuple[int, int]) -> bool:
    try:
        check_runs(model, target, block, size)
    except BadInput:
        return False
    return True
