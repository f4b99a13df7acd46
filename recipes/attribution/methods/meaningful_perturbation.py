"""Meaningful perturbation: the least that must be blurred so that the target is lost (Fong & Vedaldi 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.scoring.baselines import NAMES, baseline_image
from recipes.attribution.scoring.forward import Score, noise, score_function
from recipes.options.suggest import nearest

JITTER = 4
"""Pixels by which what is shown is shifted at random, so that no mask fits the network's grid alone (section 4.3)."""
BETA = 3
"""Power of the total variation."""
GRAIN = 0.2
"""Standard deviation of the fill `noise`, around the mean colour."""


class Share:
    """How much of its score a target has left: 1 for a picture x, 0 for nothing x', (S(.) - S(x')) / |S(x) - S(x')|.

    So that weights against a score mean the same for a probability and for a logit of any size.
    """

    def __init__(self, whole: Tensor, nothing: Tensor) -> None:
        self.whole, self.nothing = whole, nothing
        self.span = torch.maximum((whole - nothing).abs(), 0.01 * whole.abs()).clamp_min(1e-6)

    @classmethod
    @torch.no_grad()
    def between(cls, score: Score, images: Tensor, nothing: Tensor) -> Share:
        return cls(score(images), score(nothing))

    def repeated(self, copies: int) -> Share:
        """For `copies` whole batches of pictures one after the other."""
        return Share(self.whole.repeat(copies), self.nothing.repeat(copies))

    def __call__(self, scores: Tensor) -> Tensor:
        return (scores - self.nothing) / self.span


def _check(*, cells: int, fill: str, steps: int, sparsity: float, smoothness: float) -> None:
    if fill not in (*NAMES, "noise"):
        raise BadInput(f"unknown fill {fill!r}{nearest(fill, (*NAMES, 'noise'))}")
    if cells < 1 or steps < 1 or sparsity < 0 or smoothness < 0:
        raise BadInput(
            "meaningful-perturbation takes cells and steps of at least 1 and a sparsity and smoothness of at least 0, "
            f"got {cells}, {steps}, {sparsity:g} and {smoothness:g}"
        )


@method(
    "meaningful-perturbation",
    paper="Fong & Vedaldi 2017",
    check=_check,
    help={
        "cells": "of the mask's grid, along each side",
        "fill": f"what is seen where the mask hides: {', '.join(NAMES)} or noise",
        "steps": "of Adam",
        "sparsity": "weight of what is hidden",
        "smoothness": "weight of the mask's total variation",
    },
)
@torch.enable_grad()
def meaningful_perturbation(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    cells: int = 28,
    fill: str = "blur",
    steps: int = 300,
    sparsity: float = 1e-3,
    smoothness: float = 0.1,
) -> Tensor:
    """1 - m of the mask m = argmin l1 |1 - m|_1 + l2 sum |grad m|^b + S(m x + (1 - m) x') (eq. 6), in [0, 1].

    S is the `Share` of the score that is left, and no less than 0: hiding goes on until the target is lost, no further.
    Sums run over the cells of m, which is enlarged to the picture. The weights differ from the paper's, since S does.
    All pictures of a batch have their masks optimised at once.
    """
    generator = torch.Generator().manual_seed(seed)
    nothing = baseline_image(model, images, "mean" if fill == "noise" else fill)
    grains = noise(seed, steps, images)
    # Half hidden: where all is seen, a probability is saturated, and no gradient says what to hide.
    mask = images.new_full((len(images), 1, cells, cells), 0.5, requires_grad=True)
    optimizer = torch.optim.Adam([mask], lr=0.1)
    with score_function(model, target) as score:
        share = Share.between(score, images, nothing)
        for _ in range(steps):
            kept = F.interpolate(mask, images.shape[2:], mode="bilinear", align_corners=False)
            hidden = nothing + GRAIN * next(grains) if fill == "noise" else nothing
            shift = torch.randint(-JITTER, JITTER + 1, (2,), generator=generator).tolist()
            left = share(score(torch.lerp(hidden, images, kept).roll(shift, (2, 3))))
            cost = sparsity * (1 - mask).abs().sum() + smoothness * _variation(mask)
            (mask.grad,) = torch.autograd.grad(left.relu().sum() + cost, mask)
            optimizer.step()
            mask.data.clamp_(0, 1)
    return 1 - F.interpolate(mask.detach(), images.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def _variation(mask: Tensor) -> Tensor:
    """Sum of |difference of neighbours|^b.

    Example:
        >>> _variation(torch.tensor([[[[0.0, 2.0]]]]))
        tensor(8.)
    """
    return mask.diff(dim=2).abs().pow(BETA).sum() + mask.diff(dim=3).abs().pow(BETA).sum()
