"""Extremal perturbation: of all smooth masks of one area, the one that keeps most of the target (Fong et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.methods.meaningful_perturbation import Share
from recipes.attribution.scoring.baselines import HELP as BASELINES
from recipes.attribution.scoring.baselines import baseline_image, check_baseline
from recipes.attribution.scoring.forward import score_function, target_rows

NODES = 32
"""Of a mask's grid along a picture's shorter side; 7 pixels apart in one of 224, as in the paper's code."""
REACH = 4
"""Nodes around each that its smooth maximum looks at."""
COLDNESS = 20.0
"""Of the smooth maximum: 1 / T."""
RATE, MOMENTUM = 0.01, 0.9
"""Of gradient descent, as in the paper; the rate is for a gradient in units of one node's share of the mask."""
WEIGHTS = 0.3, 60.0
"""Of the area constraint, at the first and at the last step."""


def rank_penalty(values: Tensor, share: float | Tensor) -> Tensor:
    """R_a(m) = mean of (sorted m - r_a)^2 for masks (N, n): r_a is 0, and 1 for the largest share a (eq. 3), (N,).

    It is 0 for a mask of zeros and ones with just this area, and its gradient says which values should become which.

    Example:
        >>> rank_penalty(torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]), 0.25)
        tensor([0.0000, 0.2500, 0.2500])
    """
    count = values.shape[1]
    ordered = values.sort(dim=1, descending=True, stable=True).values
    ones = torch.as_tensor(share, device=values.device).view(-1, 1) * count
    wanted = (torch.arange(count, device=values.device) < ones.round()).to(values.dtype)
    return (ordered - wanted).square().mean(1)


def smooth_masks(nodes: Tensor) -> Tensor:
    """Smooth masks from a grid (N, h, w) in [0, 1]: m_i = smax over j of k(u_i - u_j) nodes_j (eq. 5 and 6).

    k(u) = exp(-max(0, |u| - 1)^2 / 4), u in nodes. No mask has a finer detail than k. It is computed at the nodes,
    which are dense against k, and only then enlarged.
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
            "extremal perturbations take areas between 0 and 1, as [0.05,0.1], and at least 1 step, "
            f"got {areas} and {steps}"
        )


def _check(*, areas: Sequence[float], steps: int, baseline: str) -> None:
    check_areas(areas=areas, steps=steps)
    check_baseline(baseline=baseline)


@method(
    "extremal-perturbation",
    paper="Fong et al. 2019",
    check=_check,
    help={"areas": "of the masks, as shares of the picture", "steps": "of gradient descent", "baseline": BASELINES},
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
    baseline: str = "blur",
) -> Tensor:
    """The mean of the extremal masks of several areas: a pixel counts the more, the smaller a mask it is in."""
    return extremal_masks(model, images, target, areas, steps, baseline).mean(0)


@torch.enable_grad()
def extremal_masks(
    model: Model, images: Tensor, target: Objective, areas: Sequence[float], steps: int = 200, baseline: str = "blur"
) -> Tensor:
    """m_a = argmax S(m x + (1 - m) x') over smooth masks of area a (eq. 2), all at once: (len(areas), B, H, W).

    What is maximised is the `Share` of the score less l R_a(m), l growing from step to step.
    """
    height, width = images.shape[2:]
    fine = NODES / min(height, width)
    grid = [min(side, round(side * fine)) for side in (height, width)]
    wanted = torch.tensor(areas, device=images.device).repeat_interleave(len(images))
    nothing, copies = baseline_image(model, images, baseline), len(areas)
    nodes = images.new_full((copies * len(images), *grid), 0.5, requires_grad=True)
    shown, hidden, rows = images.repeat(copies, 1, 1, 1), nothing.repeat(copies, 1, 1, 1), target_rows(images, copies)
    optimizer = torch.optim.SGD([nodes], lr=RATE * nodes[0].numel(), momentum=MOMENTUM)
    with score_function(model, target) as score:
        share = Share.between(score, images, nothing).repeated(copies)
        for weight in weights(steps):
            mask = smooth_masks(nodes)
            kept = F.interpolate(mask[:, None], (height, width), mode="bilinear", align_corners=False)
            gain = share(score(torch.lerp(hidden, shown, kept), rows)) - weight * rank_penalty(mask.flatten(1), wanted)
            (nodes.grad,) = torch.autograd.grad(-gain.sum(), nodes)
            optimizer.step()
            nodes.data.clamp_(0, 1)
        mask = smooth_masks(nodes.detach())[:, None]
    return F.interpolate(mask, (height, width), mode="bilinear", align_corners=False).view(copies, -1, height, width)


def weights(steps: int) -> list[float]:
    """The constraint's weight at each step, which grows by the same factor from one to the next."""
    first, last = WEIGHTS
    return [first * (last / first) ** (step / max(steps - 1, 1)) for step in range(steps)]
