"""Propagation: the score itself, or its difference from a reference's, divided among pixels operation by operation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inverter import Model
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.backward.deeplift_rules import RescaleRule
from recipes.attribution.backward.lrp_rules import TINY, LRPRule, Relevance
from recipes.attribution.backward.passes import run_with_rules, target_gradient
from recipes.attribution.method import method
from recipes.attribution.scoring.baselines import (
    BACKGROUND,
    background_images,
    baseline_image,
    check_background,
    check_baseline,
)
from recipes.attribution.scoring.baselines import HELP as BASELINES
from recipes.options.suggest import nearest

Z_PLUS = LRPRule(alpha=1.0)
POINTS = 16
"""Of the quadrature between a reference and a picture, for targets that are not linear in what they read."""


def _sharing(rule: str, epsilon: float, beta: float) -> tuple[LRPRule, LRPRule]:
    """What the rule means for convolutions, and for linear layers."""
    if not epsilon >= 0 or not beta >= 0:
        raise BadInput(f"lrp: expected epsilon and beta of at least 0, got {epsilon:g} and {beta:g}")
    rules = {
        "composite": (Z_PLUS, LRPRule(epsilon)),
        "epsilon": (LRPRule(epsilon),) * 2,
        "z+": (Z_PLUS,) * 2,
        "alpha-beta": (LRPRule(alpha=1 + beta, beta=beta),) * 2,
    }
    if rule not in rules:
        raise BadInput(f"lrp: unknown rule {rule!r}{nearest(rule, rules)}")
    return rules[rule]


@method(
    "lrp",
    check=_sharing,
    paper="Bach et al. 2015",
    signed=True,
    help={
        "rule": "epsilon, z+, alpha-beta, or composite: epsilon for linear layers and z+ for convolutions",
        "epsilon": "what is added to a sum before division, in root mean squares of the layer's sums",
        "beta": "weight of negative contributions under alpha-beta; alpha is 1 + beta",
    },
)
def lrp(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    rule: str = "composite",
    epsilon: float = 0.01,
    beta: float = 1.0,
) -> Tensor:
    """Layer-wise relevance propagation: R_j = sum over k of (share of a_j in z_k) R_k, down to the pixels.

    The score itself is divided: without biases, and up to epsilon, the map sums to S(x). As with gradient x input, a
    pixel of the mean colour, the network's zero, gets none.
    """
    through = run_with_rules(model, images, target, Relevance(*_sharing(rule, epsilon, beta)))
    gradients, own = target_gradient(target, through.read, images)
    return ((images - baseline_image(model, images, "mean")) * (through.back(gradients) + own)).sum(1)


@method(
    "excitation-backprop",
    paper="Zhang et al. 2016",
    layer=True,
    help={"contrastive": "subtract what excites the opposite: the last convolution or linear layer with other signs"},
)
def excitation_backprop(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, contrastive: bool = False
) -> Tensor:
    """How probably a winner-takes-all walk from the target down passes each position of the layer (section 3.2).

    From z_k = sum over j of w_jk a_j it steps to j with a probability in proportion to w_jk a_j, of those above 0. The
    map sums to 1, unless nothing excites what a walk comes to. `contrastive`: what is more probable than for the
    target's opposite (section 3.3), sums of both 1.
    """
    rules = Relevance(Z_PLUS)
    through = run_with_rules(model, images, target, rules, layer)
    gradients, _ = target_gradient(target, through.read, images)
    chances = {name: gradients[name].relu() * activation.abs() for name, activation in through.read.items()}
    total = torch.stack([chance.flatten(1).sum(1) for chance in chances.values()]).sum(0).clamp_min(TINY)
    starts = {  # of an activation a the walk begins with the probability p = a m
        name: torch.where(activation == 0, 0, chances[name] / activation / _like(total, activation))
        for name, activation in through.read.items()
    }

    def walked() -> Tensor:
        return (through.start * through.back(starts)).detach().sum(1).clamp_min(0)

    winners = walked()
    if not contrastive:
        return winners
    if not rules.layers:
        raise BadInput(
            f"excitation-backprop: there is no convolution or linear layer between {layer!r} and {target.name} whose "
            "signs could be turned: leave out contrastive, or choose a layer before"
        )
    rules.negated = rules.layers - 1
    return (_unit_sum(winners) - _unit_sum(walked())).relu()


def _like(numbers: Tensor, activation: Tensor) -> Tensor:
    """One number a picture (B,), to be multiplied with an activation (B, ...)."""
    return numbers.view(-1, *[1] * (activation.ndim - 1))


def _unit_sum(maps: Tensor) -> Tensor:
    return maps / _like(maps.flatten(1).sum(1).clamp_min(TINY), maps)


@method("deeplift", paper="Shrikumar et al. 2017", signed=True, check=check_baseline, help={"baseline": BASELINES})
def deeplift(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, baseline: str = "black"
) -> Tensor:
    """(x - x') m, summed over the channels, m the multipliers of the rescale rule; complete: it sums to S(x) - S(x').

    Functional activations, modules that run twice, sums and products are covered (Captum's covers modules that run
    once).
    """
    return _difference(model, images, baseline_image(model, images, baseline), target)


@method(
    "deep-shap",
    paper="Lundberg & Lee 2017",
    signed=True,
    check=check_background,
    help={"background": BACKGROUND},
)
def deep_shap(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, background: str = ""
) -> Tensor:
    """The mean of DeepLIFT over several references: SHAP values, composed of those of the network's operations.

    Complete: the map sums to S(x) minus the mean score of the references.
    """
    references = background_images(model, images, background)
    return torch.stack([_difference(model, images, one, target) for one in references]).mean(0)


def _difference(model: Model, images: Tensor, reference: Tensor, target: Objective) -> Tensor:
    """The shares (B, H, W) of pixels in S(x) - S(x')."""
    rules = RescaleRule()
    before = run_with_rules(model, reference, target, rules)
    rules.compare()
    after = run_with_rules(model, images, target, rules)
    mean: dict[str, Tensor] = {}
    own = torch.zeros_like(images)
    for point, weight in zip(*np.polynomial.legendre.leggauss(POINTS), strict=True):
        part = (1 + float(point)) / 2  # of the straight way from the reference
        read = {name: torch.lerp(before.read[name].detach(), each.detach(), part) for name, each in after.read.items()}
        gradients, direct = target_gradient(target, read, torch.lerp(reference, images, part))
        for name, gradient in gradients.items():
            mean[name] = mean.get(name, 0) + float(weight) / 2 * gradient
        own = own + float(weight) / 2 * direct
    return ((images - reference) * (after.back(mean) + own)).detach().sum(1)
