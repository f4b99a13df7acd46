"""Extremal perturbation: the smooth mask of a given area that preserves the score best (Fong et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.methods.meaningful_perturbation import RelativeScore
from recipes.attribution.scoring.baselines import BASELINE_HELP, Baseline, baseline_image, check_baseline
from recipes.attribution.scoring.forward import score_function, target_rows

NODES = 32
"""Nodes of a mask's grid along the shorter side: 7 pixels apart in an image of 224, as in the paper's code."""
REACH = 4
"""Radius of the smooth maximum's window, in nodes."""
COLDNESS = 20.0
"""Inverse temperature 1 / T of the smooth maximum."""
RATE, MOMENTUM = 0.01, 0.9
"""Learning rate and momentum, as in the paper; the rate is multiplied by the number of nodes."""
WEIGHTS = 0.3, 60.0
"""Weight lambda of the area constraint at the first and at the last step."""


def rank_penalty(values: Tensor, share: float | Tensor) -> Tensor:
    """The area constraint R_a(m) = mean (vecsort(m) - r_a)^2; r_a is 1 for the largest share a and else 0 (eq. 3).

    It is 0 for a binary mask of exactly this area.

    Args:
        values: masks (N, n) in [0, 1].
        share: the area a in (0, 1), or one for each mask, (N,).

    Returns:
        (N,).

    Example:
        >>> rank_penalty(torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]), 0.25)
        tensor([0.0000, 0.2500, 0.2500])
    """
    count = values.shape[1]
    ordered = values.sort(dim=1, descending=True, stable=True).values
    ones = torch.as_tensor(share, dtype=values.dtype, device=values.device).view(-1, 1) * count
    template = (torch.arange(count, device=values.device) < ones.round()).to(values.dtype)
    return (ordered - template).square().mean(1)


def smooth_masks(nodes: Tensor) -> Tensor:
    """Smooth masks from a grid (N, h, w) in [0, 1]: m_i = smax_j k(u_i - u_j) nodes_j (eq. 5 and 6).

    The kernel k(u) = exp(-max(0, |u| - 1)^2 / 4), u in nodes, limits the detail of a mask. It is evaluated at the
    nodes, which sample k densely; the result is upsampled afterwards.
    """
    side = 2 * REACH + 1
    steps = torch.arange(-REACH, REACH + 1, device=nodes.device, dtype=nodes.dtype)
    near = torch.cartesian_prod(steps, steps).norm(dim=1)
    kernel = torch.exp(-(near - 1).clamp_min(0).square() / 4)
    around = F.unfold(nodes[:, None], side, padding=REACH) * kernel[:, None]
    return ((around * (COLDNESS * around).softmax(1)).sum(1)).view_as(nodes)


def check_areas(*, areas: Sequence[float], steps: int, **_others: object) -> None:
    if not areas or not all(isinstance(area, int | float) and 0 < area < 1 for area in areas) or steps < 1:
        raise BadInput(
            "extremal perturbations take areas between 0 and 1, such as [0.05,0.1], and at least 1 step, "
            f"got {areas} and {steps}"
        )


def _check(*, areas: Sequence[float], steps: int, baseline: str) -> None:
    check_areas(areas=areas, steps=steps)
    check_baseline(baseline=baseline)


@method(
    "extremal-perturbation",
    paper="Fong et al. 2019",
    check=_check,
    help={
        "areas": "mask sizes, as shares of the image",
        "steps": "gradient descent steps",
        "baseline": BASELINE_HELP,
    },
)
def extremal_perturbation(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    areas: Sequence[float] = (0.05, 0.1, 0.2),
    steps: int = 200,
    baseline: Baseline = "blur",
) -> Tensor:
    """The mean of the extremal masks of several areas (Fong et al. 2019): pixels of the smallest mask score highest."""
    return extremal_masks(model, images, target, areas, steps, baseline).mean(0)


@torch.enable_grad()
def extremal_masks(
    model: Model,
    images: Tensor,
    target: Objective,
    areas: Sequence[float],
    steps: int = 200,
    baseline: Baseline = "blur",
) -> Tensor:
    """The masks m_a = argmax_m S(m x + (1 - m) x') over smooth masks of area a (eq. 2), for all areas at once.

    The objective is the `RelativeScore` minus lambda R_a(m), with lambda growing from step to step.

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        target: the objective.
        areas: shares of the image in (0, 1).
        steps: gradient descent steps.
        baseline: x', shown where the mask is 0.

    Returns:
        (len(areas), B, H, W) in [0, 1].
    """
    height, width = images.shape[2:]
    fine = NODES / min(height, width)
    grid = [min(side, round(side * fine)) for side in (height, width)]
    shares = torch.tensor(areas, device=images.device).repeat_interleave(len(images))
    baselines, copies = baseline_image(model, images, baseline), len(areas)
    nodes = images.new_full((copies * len(images), *grid), 0.5, requires_grad=True)
    shown, hidden, rows = images.repeat(copies, 1, 1, 1), baselines.repeat(copies, 1, 1, 1), target_rows(images, copies)
    optimizer = torch.optim.SGD([nodes], lr=RATE * nodes[0].numel(), momentum=MOMENTUM)
    with score_function(model, target) as score:
        relative = RelativeScore.between(score, images, baselines).repeated(copies)
        for weight in area_weights(steps):
            mask = smooth_masks(nodes)
            kept = F.interpolate(mask[:, None], (height, width), mode="bilinear", align_corners=False)
            kept_score = relative(score(torch.lerp(hidden, shown, kept), rows))
            gain = kept_score - weight * rank_penalty(mask.flatten(1), shares)
            (nodes.grad,) = torch.autograd.grad(-gain.sum(), nodes)
            optimizer.step()
            nodes.data.clamp_(0, 1)
        mask = smooth_masks(nodes.detach())[:, None]
    return F.interpolate(mask, (height, width), mode="bilinear", align_corners=False).view(copies, -1, height, width)


def area_weights(steps: int) -> list[float]:
    """The weight of the area constraint at each step; it grows geometrically."""
    first, last = WEIGHTS
    return [first * (last / first) ** (step / max(steps - 1, 1)) for step in range(steps)]
