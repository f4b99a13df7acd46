"""Meaningful perturbation: the smallest region whose removal destroys the score (Fong & Vedaldi 2017)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.scoring.baselines import Baseline, baseline_image
from recipes.attribution.scoring.forward import Score, noise, score_function
from recipes.options.suggest import nearest

Fill = Literal[Baseline, "noise"]
FILLS: tuple[Fill, ...] = get_args(Fill)
JITTER = 4
"""Largest random shift of the masked image in pixels; masks then do not adapt to the network's grid (section 4.3)."""
BETA = 3
"""Exponent of the total variation."""
GRAIN = 0.2
"""Standard deviation of the fill `noise` around the mean colour."""


class RelativeScore:
    """The score relative to an image x and its baseline x': (S(.) - S(x')) / |S(x) - S(x')|, 1 at x and 0 at x'.

    It makes the weights of other loss terms independent of the score's scale, for probabilities and logits alike.

    Args:
        full: S(x), (B,).
        baseline: S(x'), (B,).
    """

    def __init__(self, full: Tensor, baseline: Tensor) -> None:
        self.full, self.baseline = full, baseline
        self.span = torch.maximum((full - baseline).abs(), 0.01 * full.abs()).clamp_min(1e-6)

    @classmethod
    @torch.no_grad()
    def between(cls, score: Score, images: Tensor, baselines: Tensor) -> RelativeScore:
        return cls(score(images), score(baselines))

    def repeated(self, copies: int) -> RelativeScore:
        """For `copies` repeated batches of images."""
        return RelativeScore(self.full.repeat(copies), self.baseline.repeat(copies))

    def __call__(self, scores: Tensor) -> Tensor:
        return (scores - self.baseline) / self.span


def _check(*, cells: int, fill: str, steps: int, sparsity: float, smoothness: float) -> None:
    if fill not in FILLS:
        raise BadInput(f"unknown fill {fill!r}{nearest(fill, FILLS)}")
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
        "cells": "resolution of the mask along each side",
        "fill": f"replacement for removed pixels: {', '.join(FILLS[:-1])} or {FILLS[-1]}",
        "steps": "Adam steps",
        "sparsity": "weight of the removed area",
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
    fill: Fill = "blur",
    steps: int = 300,
    sparsity: float = 1e-3,
    smoothness: float = 0.1,
) -> Tensor:
    """Meaningful perturbation (Fong & Vedaldi 2017, eq. 6): the map is 1 - m, in [0, 1], of a deletion mask m.

    m = argmin l1 |1 - m|_1 + l2 sum |grad m|^b + S(m x + (1 - m) x'), with S the `RelativeScore`, clamped at 0: pixels
    are removed until the score is that of the baseline, no further. Sums run over the cells of m, which is upsampled to
    the image. The weights differ from the paper's because S does. The masks of a batch are optimised together.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    baselines = baseline_image(model, images, "mean" if fill == "noise" else fill)
    grains = noise(seed, steps, images)
    # Starts half removed: for the full image a probability may be saturated, without a gradient.
    mask = images.new_full((len(images), 1, cells, cells), 0.5, requires_grad=True)
    optimizer = torch.optim.Adam([mask], lr=0.1)
    with score_function(model, target) as score:
        relative = RelativeScore.between(score, images, baselines)
        for _ in range(steps):
            kept = F.interpolate(mask, images.shape[2:], mode="bilinear", align_corners=False)
            hidden = baselines + GRAIN * next(grains) if fill == "noise" else baselines
            shift = torch.randint(-JITTER, JITTER + 1, (2,), generator=generator).tolist()
            left = relative(score(torch.lerp(hidden, images, kept).roll(shift, (2, 3))))
            cost = sparsity * (1 - mask).abs().sum() + smoothness * _variation(mask)
            (mask.grad,) = torch.autograd.grad(left.relu().sum() + cost, mask)
            optimizer.step()
            mask.data.clamp_(0, 1)
    return 1 - F.interpolate(mask.detach(), images.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def _variation(mask: Tensor) -> Tensor:
    """Total variation: the sum of |difference of neighbours|^BETA.

    Example:
        >>> _variation(torch.tensor([[[[0.0, 2.0]]]]))
        tensor(8.)
    """
    return mask.diff(dim=2).abs().pow(BETA).sum() + mask.diff(dim=3).abs().pow(BETA).sum()
