"""Surrogate models: linear models of the score as a function of which parts of the image are present."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from inverter import Model
from inverter.engine import default_batch
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import import_library, method
from recipes.attribution.scoring.baselines import (
    BACKGROUND_HELP,
    BASELINE_HELP,
    Baseline,
    background_images,
    baseline_image,
    check_background,
    check_baseline,
)
from recipes.attribution.scoring.forward import input_gradient, score_function, select_targets
from recipes.attribution.scoring.superpixels import superpixels

TOLERANCE = 1e-3
"""Largest difference of the gradient between two images for a score to count as linear, relative to its maximum."""
_HELP = {
    "samples": "number of perturbed images",
    "segments": "approximate number of superpixels",
    "baseline": BASELINE_HELP,
}


class Ridge:
    """Weighted ridge regression with an intercept, with the interface of Captum's surrogate models.

    w, b = argmin sum_i pi_i (y_i - w z_i - b)^2 + penalty |w|^2.

    Args:
        penalty: of the squared L2 norm of the slopes w.
    """

    def __init__(self, penalty: float) -> None:
        self.penalty, self._slopes = penalty, torch.zeros(0, dtype=torch.float32)

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
    help=_HELP | {"width": "width of the kernel exp(-D^2 / width^2), with D the cosine distance to the full image"},
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
    baseline: Baseline = "mean",
    width: float = 0.25,
) -> Tensor:
    """LIME (Ribeiro et al. 2016, eq. 2): slopes of a local linear model of S in the presence of superpixels.

    On average half of the superpixels are removed from a sample. Ridge regression with penalty 1 follows the authors'
    code for images, which takes the square root of the kernel: its width of .25 is .354 here.
    """

    def kernel(_image: Tensor, _sample: Tensor, z: Tensor, **_: Any) -> Tensor:
        distance = 1 - (z.sum(1) / z.shape[1]).sqrt()  # between z and a vector of ones
        return (-distance.square() / width**2).exp()

    def draw(image: Tensor, **facts: Any) -> Iterator[Tensor]:
        generator = torch.Generator("cpu").manual_seed(seed)
        yield torch.ones(1, facts["num_interp_features"], device=image.device)
        while True:
            yield torch.randint(0, 2, (1, facts["num_interp_features"]), generator=generator).float().to(image.device)

    attr = import_library("captum.attr")

    def explainer(score: Callable[..., Tensor]) -> Any:
        return attr.Lime(score, Ridge(1.0), kernel, draw)

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
    baseline: Baseline = "mean",
) -> Tensor:
    """Kernel SHAP (Lundberg & Lee 2017, theorem 2): SHAP values of superpixels by a fit with the Shapley kernel.

    Samples are drawn in proportion to the kernel. Each value is divided equally among the pixels of its superpixel.
    Completeness: the map sums to S(x) - S(x').
    """
    attr = import_library("captum.attr")

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
    baseline: Baseline,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """A Captum surrogate's slope and size of the superpixel at each pixel, both (B, H, W)."""
    baselines, found, sizes = baseline_image(model, images, baseline), list[Tensor](), list[Tensor]()
    for row, image in enumerate(images):
        segment_map = superpixels(image, segments).to(image.device)
        part = select_targets(target, torch.tensor([row], device=images.device))
        gpus = [image.device] if image.is_cuda else []
        with score_function(model, part) as score, torch.no_grad(), torch.random.fork_rng(gpus):
            torch.manual_seed(seed)  # Captum draws from the global generator
            slopes = explainer(score).attribute(
                image[None],
                baselines=baselines[row : row + 1],
                feature_mask=segment_map[None, None],
                n_samples=samples,
                perturbations_per_eval=default_batch(model.device),
                return_input_shape=False,
            )
        found.append(slopes[0].to(image.device)[segment_map])
        sizes.append(segment_map.flatten().bincount()[segment_map])
    return torch.stack(found), torch.stack(sizes)


@method(
    "linear-shap",
    paper="Lundberg & Lee 2017",
    signed=True,
    linear=True,
    check=check_background,
    help={"background": BACKGROUND_HELP},
)
def linear_shap(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, background: str = ""
) -> Tensor:
    """Linear SHAP (Lundberg & Lee 2017, corollary 1): M = w (x - E[x]) for a linear score S = w x + b.

    The values are summed over the channels.

    Raises:
        BadInput: if the score is not linear in the images.
    """
    mean = torch.stack(background_images(model, images, background)).mean(0)
    with score_function(model, target) as score:
        slope, other = input_gradient(score, images), input_gradient(score, mean)
    off, size = (slope - other).abs().amax((1, 2, 3)), slope.abs().amax((1, 2, 3))
    if bool((off > TOLERANCE * size).any()):
        raise BadInput(
            f"linear-shap needs a score that is linear in the image, and {target.label(0)} is not: use deep-shap or "
            "kernel-shap"
        )
    return ((images - mean) * slope).sum(1)
