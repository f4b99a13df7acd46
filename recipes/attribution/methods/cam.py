"""Class activation maps: a layer's feature maps A_k, weighted by their contribution to the target's score S."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.scoring.baselines import baseline_image
from recipes.attribution.scoring.forward import (
    check_noise,
    copies_at_once,
    noise,
    noise_level,
    score_function,
    select_targets,
    stack_in_groups,
    target_rows,
)
from recipes.attribution.scoring.layers import layer_gradient
from recipes.attribution.scoring.masked_scores import masks_at_once
from recipes.attribution.scoring.pooled_head import pooled_weights

BOX = 0.2
"""Threshold of the bounding box, 20 % of the maximum (Zhou et al. 2016)."""


@method("cam", paper="Zhou et al. 2016", signed=True, layer=True, pooled=True, box=BOX)
def cam(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """CAM (Zhou et al. 2016, eq. 2): M = sum_k w_k A_k, with w_k the weight of the pooled map k for the class."""
    maps, weights = pooled_weights(model, images, target)
    return (weights[:, :, None, None] * maps).sum(1)


@method(
    "grad-cam",
    paper="Selvaraju et al. 2017",
    layer=True,
    box=BOX,
    help={"relu": "keep only positive evidence"},
)
def grad_cam(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, relu: bool = True) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2): L = ReLU(sum_k a_k A_k), a_k the spatial mean of dS/dA_k."""
    maps, gradient = layer_gradient(model, images, target, layer)
    weighted = (gradient.mean((2, 3), keepdim=True) * maps).sum(1)
    return weighted.relu() if relu else weighted


@method("grad-cam++", paper="Chattopadhay et al. 2018", layer=True, box=BOX)
def grad_cam_plus_plus(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018): Grad-CAM with w_k = sum_ij alpha_kij ReLU(dS/dA_kij) (eq. 5 and 19)."""
    maps, gradient = layer_gradient(model, images, target, layer)
    return _plus_plus(maps, gradient)


def _plus_plus(maps: Tensor, gradient: Tensor) -> Tensor:
    """The map (B, h, w) from A and g = dS/dA: alpha = g^2 / (2 g^2 + g^3 sum_ij A_ij), for the score exp(S) (eq. 19).

    It is computed as 1 / (2 + g sum_ij A_ij), which is accurate for small gradients. The factor exp(S) is common to all
    positions of an image and is left out.
    """
    below = 2 + gradient * maps.sum((2, 3), keepdim=True)
    alpha = torch.where(below != 0, 1 / below, 0.0)
    weights = (alpha * gradient.relu()).sum((2, 3), keepdim=True)
    return (weights * maps).sum(1).relu()


@method(
    "smooth-grad-cam++",
    paper="Omeiza et al. 2019",
    layer=True,
    box=BOX,
    check=check_noise,
    help={"samples": "number of noisy copies", "noise": "standard deviation, as a share of the image's value range"},
)
def smooth_grad_cam_plus_plus(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    samples: int = 8,
    noise: float = 0.15,
) -> Tensor:
    """Smooth Grad-CAM++ (Omeiza et al. 2019): Grad-CAM++ with A and dS/dA averaged over noisy copies."""
    maps, gradient = _smoothed(model, images, target, layer, seed, samples, noise)
    return _plus_plus(maps, gradient)


def _smoothed(
    model: Model, images: Tensor, target: Objective, layer: str, seed: int, samples: int, spread: float
) -> tuple[Tensor, Tensor]:
    """Means of A and of dS/dA over noisy copies of the images."""
    sigma = noise_level(images, spread)
    total: list[Tensor] = []
    for draws in stack_in_groups(noise(seed, samples, images), copies_at_once(model, images)):
        noisy = (images + sigma * draws[:, None]).flatten(0, 1)
        seen = layer_gradient(model, noisy, target, layer, target_rows(images, len(draws)))
        sums = [part.unflatten(0, (len(draws), len(images))).sum(0) / samples for part in seen]
        total = [a + b for a, b in zip(total, sums, strict=True)] if total else sums
    return total[0], total[1]


@method("layer-cam", paper="Jiang et al. 2021", layer=True, box=BOX)
def layer_cam(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """LayerCAM (Jiang et al. 2021, eq. 5 and 6): M = ReLU(sum_k ReLU(dS/dA_k) A_k), one weight for each position."""
    maps, gradient = layer_gradient(model, images, target, layer)
    return (gradient.relu() * maps).sum(1).relu()


@method("sharpen-focus", paper="Wang et al. 2019", layer=True, box=BOX)
def sharpen_focus(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """Sharpen Focus (Wang et al. 2019): Grad-CAM with a_k the spatial mean of ReLU(dS/dA_k)."""
    maps, gradient = layer_gradient(model, images, target, layer)
    return (gradient.relu().mean((2, 3), keepdim=True) * maps).sum(1).relu()


@method(
    "score-cam",
    paper="Wang et al. 2020",
    layer=True,
    box=BOX,
    help={"channels": "number of feature maps to use, those with the largest value range first; 0 uses all"},
)
@torch.no_grad()
def score_cam(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, channels: int = 0) -> Tensor:
    """Score-CAM (Wang et al. 2020, eq. 5 to 7): L = ReLU(sum_k w_k A_k), w = softmax_k S(x masked by A_k).

    The mask is A_k, upsampled and normalised to [0, 1]. Masked pixels become zero after normalisation; the baseline's
    score cancels in the softmax. A constant map has no mask and no weight.
    """
    with model.capture([layer]) as capture:
        maps = capture(model.normalize(images))[layer].float()
    spread = maps.amax((2, 3)) - maps.amin((2, 3))
    count = min(channels, maps.shape[1]) if channels > 0 else maps.shape[1]
    baselines, at_once = baseline_image(model, images, "mean"), masks_at_once(model, images)
    scores = maps.new_full(maps.shape[:2], -torch.inf)
    varied = (spread > 0).sum(1).tolist()
    for row, image in enumerate(images):
        ranked = spread[row].topk(count).indices
        with score_function(model, select_targets(target, torch.tensor([row], device=images.device))) as score:
            for part in ranked[: varied[row]].split(at_once):
                if not len(part):
                    break  # all maps are constant
                masks = F.interpolate(maps[row, part][:, None], images.shape[2:], mode="bilinear", align_corners=False)
                least, most = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
                shown = baselines[row] + (masks - least) / (most - least) * (image - baselines[row])
                scores[row, part] = score(shown, part.new_zeros(len(part)))
    weights = scores.softmax(1).nan_to_num()
    return (weights[:, :, None, None] * maps).sum(1).relu()
