"""Gradient methods: saliency, gradient x input, integrated gradients and SmoothGrad."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter.ascent.input_gradients import InputGradients
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import import_library, method
from recipes.attribution.scoring.baselines import BASELINE_HELP, Baseline, baseline_image, check_baseline
from recipes.attribution.scoring.forward import (
    Score,
    check_noise,
    copies_at_once,
    input_gradient,
    noise,
    noise_level,
    score_function,
    stack_in_groups,
    target_rows,
)


@method(
    "saliency",
    paper="Simonyan et al. 2014",
    help={"crops": "average over ten crops: four corners, the centre, and their mirror images"},
)
def saliency(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, crops: bool = False) -> Tensor:
    """Saliency (Simonyan et al. 2014, section 3.1): M_ij = max_c |dS/dx_cij|."""

    def once(score: Score, images: Tensor) -> Tensor:
        return input_gradient(score, images).abs().amax(1)

    with score_function(model, target) as score:
        return _over_ten_crops(lambda crop: once(score, crop), images) if crops else once(score, images)


def _over_ten_crops(saliency: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The mean map (B, H, W) over ten crops of the images, which are first resized by 8/7.

    The crops are the four corners, the centre and their mirror images, 224 of 256 pixels as in the paper.
    """
    height, width = images.shape[2:]
    large = F.interpolate(images, (height * 8 // 7, width * 8 // 7), mode="bilinear", align_corners=False)
    down, right = large.shape[2] - height, large.shape[3] - width
    total, count = torch.zeros_like(large[:, 0]), torch.zeros_like(large[:, 0])
    for top, left in ((0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)):
        here = (slice(None), slice(top, top + height), slice(left, left + width))
        crop = large[:, :, top : top + height, left : left + width]
        total[here] += saliency(crop) + saliency(crop.flip(3)).flip(2)
        count[here] += 2
    return F.interpolate((total / count)[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]


@method(
    "gradient-x-input",
    paper="Shrikumar et al. 2016",
    signed=True,
    check=check_baseline,
    help={"baseline": BASELINE_HELP},
)
def gradient_x_input(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, baseline: Baseline = "mean"
) -> Tensor:
    """Gradient x input (Shrikumar et al. 2016): M = (x - x') dS/dx, summed over the channels.

    With the mean colour as x' it is the product at the normalised input of the network.
    """
    with score_function(model, target) as score:
        return ((images - baseline_image(model, images, baseline)) * input_gradient(score, images)).sum(1)


def _check_steps(*, steps: int, baseline: str) -> None:
    if steps < 1:
        raise BadInput(f"steps must be at least 1, got {steps}")
    check_baseline(baseline=baseline)


@method(
    "integrated-gradients",
    paper="Sundararajan et al. 2017",
    signed=True,
    extra="captum.attr",
    check=_check_steps,
    help={"steps": "quadrature points (Gauss-Legendre) between baseline and image", "baseline": BASELINE_HELP},
)
def integrated_gradients(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    steps: int = 50,
    baseline: Baseline = "black",
) -> Tensor:
    """Integrated gradients (Sundararajan et al. 2017, eq. 1), summed over the channels.

    M = (x - x') int_0^1 dS/dx (x' + a (x - x')) da, by Captum. Completeness: the map sums to S(x) - S(x').
    """
    captum = import_library("captum.attr")
    start = baseline_image(model, images, baseline)
    together = copies_at_once(model, images) * len(images)
    with score_function(model, target) as score, InputGradients():
        found = captum.IntegratedGradients(score).attribute(
            images.detach().requires_grad_(),
            start,
            additional_forward_args=target_rows(images),
            n_steps=steps,
            internal_batch_size=together,
        )
    return found.sum(1)


def _moments(
    model: Model, images: Tensor, target: Objective, seed: int, samples: int, spread: float
) -> tuple[Tensor, Tensor]:
    """Mean and mean square of dS/dx over noisy copies of the images, each (B, 3, H, W)."""
    sigma = noise_level(images, spread)
    first, second = torch.zeros_like(images), torch.zeros_like(images)
    together = copies_at_once(model, images)
    with score_function(model, target) as score:
        for draws in stack_in_groups(noise(seed, samples, images), together):
            noisy = images + sigma * draws[:, None]
            gradient = input_gradient(score, noisy.flatten(0, 1), target_rows(images, len(draws))).view_as(noisy)
            first += gradient.sum(0) / samples
            second += gradient.square().sum(0) / samples
    return first, second


_NOISY = {"samples": "number of noisy copies", "noise": "standard deviation, as a share of the image's value range"}


@method("smoothgrad", paper="Smilkov et al. 2017", check=check_noise, help=_NOISY)
def smoothgrad(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, samples: int = 32, noise: float = 0.15
) -> Tensor:
    """SmoothGrad (Smilkov et al. 2017): M = max_c |1/n sum_i dS/dx(x + e_i)|, e_i ~ N(0, sigma^2)."""
    return _moments(model, images, target, seed, samples, noise)[0].abs().amax(1)


@method("smoothgrad-squared", paper="Hooker et al. 2019", check=check_noise, help=_NOISY)
def smoothgrad_squared(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, samples: int = 32, noise: float = 0.15
) -> Tensor:
    """SmoothGrad-Squared (Hooker et al. 2019): the mean squared gradient over noisy copies, maximum over channels."""
    return _moments(model, images, target, seed, samples, noise)[1].amax(1)


@method("vargrad", paper="Adebayo et al. 2018", check=check_noise, help=_NOISY)
def vargrad(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, samples: int = 32, noise: float = 0.15
) -> Tensor:
    """VarGrad (Adebayo et al. 2018): the variance of the gradient over noisy copies, maximum over channels."""
    mean, square = _moments(model, images, target, seed, samples, noise)
    return (square - mean.square()).clamp_min(0).amax(1)
