"""Surrogates: linear models of what a network says when parts of a picture are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from inverter import Model
from inverter.engine import default_batch
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import method, needs
from recipes.attribution.methods.superpixels import superpixels
from recipes.attribution.scoring.baselines import (
    BACKGROUND,
    background_images,
    baseline_image,
    check_background,
    check_baseline,
)
from recipes.attribution.scoring.baselines import HELP as BASELINES
from recipes.attribution.scoring.forward import input_gradient, score_function, select_targets

TOLERANCE = 1e-3
"""By how much the gradient of a linear score may differ between two pictures, of its largest value."""
_HELP = {"samples": "incomplete pictures", "segments": "about how many superpixels", "baseline": BASELINES}


class Ridge:
    """Weighted least squares with an intercept and an L2 penalty on the slopes: what Captum asks of a surrogate.

    argmin over w, b of sum over i of pi_i (y_i - w z_i - b)^2 + penalty |w|^2.
    """

    def __init__(self, penalty: float) -> None:
        self.penalty, self._slopes = penalty, torch.zeros(0)

    def fit(self, data: Any, **_: Any) -> dict[str, Any]:
        z, y, weight = (torch.cat([batch[i] for batch in data]).cpu().double() for i in range(3))
        y, share = y.flatten(), weight.flatten() / weight.sum()
        centre, mean = share @ z, share @ y
        root = weight.flatten().sqrt()[:, None]
        a, b = root * (z - centre), root * (y - mean)[:, None]
        square = a.T @ a + self.penalty * torch.eye(z.shape[1], dtype=z.dtype)
        self._slopes = torch.linalg.lstsq(square, a.T @ b).solution[:, 0].float()
        return {}

    def representation(self) -> Tensor:
        """The slopes, one for each superpixel."""
        return self._slopes[None]


def _check(*, samples: int, segments: int, baseline: str, width: float = 1.0) -> None:
    if samples < 2 or segments < 2:
        raise BadInput(f"expected at least 2 samples and 2 segments, got {samples} and {segments}")
    if not width > 0:
        raise BadInput(f"expected a width above 0, got {width:g}")
    check_baseline(baseline=baseline)


@method(
    "lime",
    check=_check,
    paper="Ribeiro et al. 2016",
    signed=True,
    extra="captum",
    help=_HELP | {"width": "of the kernel exp(-D^2 / width^2), D the cosine distance from the whole picture"},
)
def lime(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    samples: int = 500,
    segments: int = 50,
    baseline: str = "mean",
    width: float = 0.25,
) -> Tensor:
    """The slopes of a linear model of S over which superpixels are there, fitted near the whole picture (eq. 2).

    Half of the superpixels are missing from a sample, on average. Ridge regression of penalty 1 is that of the authors'
    code for pictures; it takes the kernel's square root, so that its width of .25 is one of .354 here.
    """

    def near(_whole: Tensor, _part: Tensor, z: Tensor, **_: Any) -> Tensor:
        distance = 1 - (z.sum(1) / z.shape[1]).sqrt()  # of z from a vector of ones
        return (-distance.square() / width**2).exp()

    def draw(image: Tensor, **facts: Any) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        yield torch.ones(1, facts["num_interp_features"], device=image.device)
        while True:
            yield torch.randint(0, 2, (1, facts["num_interp_features"]), generator=generator).float().to(image.device)

    attr = needs("captum.attr")

    def explainer(score: Callable[..., Tensor]) -> Any:
        return attr.Lime(score, Ridge(1.0), near, draw)

    slopes, _ = _fitted(model, images, target, explainer, samples, segments, baseline, seed)
    return slopes


@method("kernel-shap", paper="Lundberg & Lee 2017", signed=True, extra="captum", check=_check, help=_HELP)
def kernel_shap(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    samples: int = 500,
    segments: int = 30,
    baseline: str = "mean",
) -> Tensor:
    """SHAP values of superpixels: the linear model fitted with the Shapley kernel (theorem 2).

    Samples are drawn in proportion to the kernel. Each value is divided among its superpixel's pixels.
    Complete: the map sums to S(x) - S(x').
    """
    attr = needs("captum.attr")

    def explainer(score: Callable[..., Tensor]) -> Any:
        found = attr.KernelShap(score)
        found.interpretable_model = Ridge(0.0)  # Captum's own needs scikit-learn
        return found

    slopes, sizes = _fitted(model, images, target, explainer, samples, segments, baseline, seed)
    return slopes / sizes


def _fitted(
    model: Model,
    images: Tensor,
    target: Objective,
    explainer: Callable[[Callable[..., Tensor]], Any],
    samples: int,
    segments: int,
    baseline: str,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Of a Captum surrogate, at each pixel (B, H, W): its superpixel's slope, and how many pixels that has."""
    nothing, found, sizes = baseline_image(model, images, baseline), list[Tensor](), list[Tensor]()
    for row, image in enumerate(images):
        pieces = superpixels(image, segments).to(image.device)
        part = select_targets(target, torch.tensor([row], device=images.device))
        gpus = [image.device] if image.is_cuda else []
        with score_function(model, part) as score, torch.no_grad(), torch.random.fork_rng(gpus):
            torch.manual_seed(seed)  # Captum draws from the process's own numbers
            slopes = explainer(score).attribute(
                image[None],
                baselines=nothing[row : row + 1],
                feature_mask=pieces[None, None],
                n_samples=samples,
                perturbations_per_eval=default_batch(model.device),
                return_input_shape=False,
            )
        found.append(slopes[0].to(image.device)[pieces])
        sizes.append(pieces.flatten().bincount()[pieces])
    return torch.stack(found), torch.stack(sizes)


@method(
    "linear-shap",
    paper="Lundberg & Lee 2017",
    signed=True,
    linear=True,
    check=check_background,
    help={"background": BACKGROUND},
)
def linear_shap(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, background: str = ""
) -> Tensor:
    """w (x - E[x]), summed over the channels: the SHAP values of a linear score S = w x + b (corollary 1).

    Raises:
        BadInput: if the score is not linear in the pictures.
    """
    mean = torch.stack(background_images(model, images, background)).mean(0)
    with score_function(model, target) as score:
        slope, other = input_gradient(score, images), input_gradient(score, mean)
    off, size = (slope - other).abs().amax((1, 2, 3)), slope.abs().amax((1, 2, 3))
    if bool((off > TOLERANCE * size).any()):
        raise BadInput(
            f"linear-shap needs a score that is linear in the picture, and {target.label(0)} is not: take deep-shap or "
            "kernel-shap"
        )
    return ((images - mean) * slope).sum(1)
