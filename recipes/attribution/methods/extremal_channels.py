"""Extremal perturbation of channels: the few channels that preserve the score (Fong et al. 2019, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inverter import Model, Settings, optimize
from inverter_errors import BadInput
from objectives import Objective, code
from priors import Fourier
from recipes.attribution.method import method
from recipes.attribution.methods.extremal_perturbation import MOMENTUM, RATE, area_weights, check_areas, rank_penalty
from recipes.attribution.methods.meaningful_perturbation import RelativeScore
from recipes.attribution.scoring.forward import score_function, target_rows
from recipes.attribution.scoring.images import check_images
from recipes.attribution.scoring.replacing import replaced_activation


@method(
    "extremal-channels",
    paper="Fong et al. 2019",
    layer=True,
    check=check_areas,
    help={"areas": "mask sizes, as shares of the channels", "steps": "gradient descent steps"},
)
def extremal_channels(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    areas: Sequence[float] = (0.05, 0.1, 0.2),
    steps: int = 100,
) -> Tensor:
    """Where the most important channels are active (Fong et al. 2019): M = sum_k m_k |A_k|, m the mean mask.

    The mean is taken over masks of several areas. Absolute values, because in a layer without a ReLU (a linear
    bottleneck) negative activations may support the target as well.
    """
    mask = _channel_masks(model, images, target, layer, areas, steps).mean(0)
    with torch.no_grad(), model.capture([layer]) as capture:
        maps = capture(model.normalize(images))[layer].float()
    return (mask[:, :, None, None] * maps.abs()).sum(1)


def channel_masks(
    model: Model, images: Tensor, target: Objective, layer: str, areas: Sequence[float], steps: int = 100
) -> Tensor:
    """The channel masks m_a = argmax_m S(m A), each over a share a of a layer's channels; masked channels are 0.

    The objective is the `RelativeScore` minus lambda R_a(m), as for pixels.

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        target: the objective.
        layer: address of the layer, with C channels.
        areas: shares of the channels in (0, 1).
        steps: gradient descent steps.

    Returns:
        (len(areas), B, C) in [0, 1].

    Raises:
        BadInput: if the target does not depend on the layer, or for images outside of [0, 1].

    Example:
        >>> from inverter import load_model
        >>> from objectives import logit
        >>> model = load_model("builtin", device="cpu")
        >>> channel_masks(model, torch.rand(2, 3, 64, 64), logit(3), "features.stage2", [0.1], steps=2).shape
        torch.Size([1, 2, 128])
    """
    check_images(model, images)
    return _channel_masks(model, images, target, layer, areas, steps)


@torch.enable_grad()
def _channel_masks(
    model: Model, images: Tensor, target: Objective, layer: str, areas: Sequence[float], steps: int
) -> Tensor:
    (count,) = {shape[1] for shape in model.shapes([layer], (images.shape[2], images.shape[3])).values()}
    copies = len(areas)
    shares = torch.tensor(areas, device=images.device).repeat_interleave(len(images))
    mask = images.new_full((copies * len(images), count), 0.5, requires_grad=True)
    shown, rows = images.repeat(copies, 1, 1, 1), target_rows(images, copies)
    optimizer = torch.optim.SGD([mask], lr=RATE * count, momentum=MOMENTUM)
    kept = torch.ones_like(mask)  # multiplies the activation in the next forward pass

    def multiply(activation: Tensor) -> Tensor:
        return activation * kept[:, :, None, None]

    size = (images.shape[2], images.shape[3])
    with replaced_activation(model, layer, size, multiply), score_function(model, target) as score:
        with torch.no_grad():
            full = score(shown, rows)
            kept = torch.zeros_like(mask)
            relative = RelativeScore(full, score(shown, rows))
        for weight in area_weights(steps):
            kept = mask
            left = relative(score(shown, rows))
            if not left.requires_grad:
                raise BadInput(f"{target.name} does not depend on layer {layer!r}: choose one before it")
            (mask.grad,) = torch.autograd.grad((weight * rank_penalty(mask, shares) - left).sum(), mask)
            optimizer.step()
            mask.data.clamp_(0, 1)
    return mask.detach().view(copies, len(images), count)


def activation_diff(
    model: Model, images: Tensor, layer: str, masks: Tensor, settings: Settings | None = None
) -> tuple[Tensor, Tensor]:
    """Activation "diffing": pre-images of a layer's activation A and of its masked version m A (figure 9).

    Both are inverted from the same start, so that their difference shows what the removed channels encode.

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        layer: address of the layer, with C channels.
        masks: (B, C) in [0, 1], as one area of `channel_masks`.
        settings: of both inversions.

    Returns:
        Pre-images of A and of m A, (B, 3, H, W) each.

    Raises:
        BadInput: for images outside of [0, 1].
    """
    check_images(model, images)
    with torch.no_grad(), model.capture([layer]) as capture:
        maps = capture(model.normalize(images.to(model.device)))[layer].float()
    masked = maps * masks.to(maps.device)[:, :, None, None]
    how = settings or Settings()
    names, size = [str(i) for i in range(len(images))], (images.shape[2], images.shape[3])
    before, after = (
        optimize(model, code(layer, activation, names=names), Fourier(len(images), size), how, "none", None).images
        for activation in (maps, masked)
    )
    return before, after
