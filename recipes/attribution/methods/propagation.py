"""Propagation methods: LRP, excitation backpropagation, DeepLIFT and Deep SHAP, operation by operation."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from inverter import Model
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.backward.completeness import warn_of_gap
from recipes.attribution.backward.deeplift_rules import RescaleRule
from recipes.attribution.backward.linear_rules import TINY, LRPRule
from recipes.attribution.backward.lrp_rules import Relevance
from recipes.attribution.backward.passes import run_with_rules, target_gradient, target_score
from recipes.attribution.method import method
from recipes.attribution.scoring.baselines import (
    BACKGROUND_HELP,
    BASELINE_HELP,
    Baseline,
    background_images,
    baseline_image,
    check_background,
    check_baseline,
)
from recipes.options.suggest import nearest

RuleName = Literal["composite", "epsilon", "z+", "alpha-beta"]
RULES: tuple[RuleName, ...] = get_args(RuleName)
Z_PLUS = LRPRule(alpha=1.0)
EXPLODED = 100.0
"""Relevance that is this many times the score is numerical: contributions that cancel, divided by their sum."""
POINTS = 16
"""Quadrature points between a reference and an image, for targets that are not linear in the activations they read."""


def _lrp_rules(rule: str, epsilon: float, beta: float) -> tuple[LRPRule, LRPRule, LRPRule]:
    """The rules of convolutions, of linear layers, and of means and sums.

    Raises:
        BadInput: for an unknown rule, or an epsilon or beta below 0.
    """
    if not epsilon >= 0 or not beta >= 0:
        raise BadInput(f"lrp: expected epsilon and beta of at least 0, got {epsilon:g} and {beta:g}")
    if rule not in RULES:
        raise BadInput(f"lrp: unknown rule {rule!r}{nearest(rule, RULES)}")
    rules: dict[str, tuple[LRPRule, LRPRule, LRPRule]] = {
        "composite": (Z_PLUS, LRPRule(epsilon), LRPRule(epsilon)),
        "epsilon": (LRPRule(epsilon),) * 3,
        "z+": (Z_PLUS,) * 3,
        "alpha-beta": (LRPRule(alpha=1 + beta, beta=beta),) * 3,
    }
    return rules[rule]


@method(
    "lrp",
    check=_lrp_rules,
    paper="Bach et al. 2015",
    signed=True,
    help={
        "rule": "epsilon, z+, alpha-beta, or composite: z+ for convolutions and epsilon for linear layers and sums",
        "epsilon": "stabiliser of the epsilon rule, relative to the root mean square of the layer's outputs",
        "beta": "weight of negative contributions in the alpha-beta rule; alpha is 1 + beta",
    },
)
def lrp(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    rule: RuleName = "composite",
    epsilon: float = 0.01,
    beta: float = 1.0,
) -> Tensor:
    """Layer-wise relevance propagation (Bach et al. 2015): R_j = sum_k (share of a_j in z_k) R_k, down to the pixels.

    The shares follow the Epsilon, ZPlus or AlphaBeta rule; `composite` is EpsilonPlus: ZPlus for convolutions, Epsilon
    for linear layers, means and sums. Attention weights are constants (Ali et al. 2022). Without biases, and up to
    epsilon, the map sums to S(x). As with gradient x input, a pixel of the mean colour (zero after normalisation) has
    no relevance.
    """
    return _relevance_maps("lrp", Relevance(*_lrp_rules(rule, epsilon, beta)), model, images, target)


def _relevance_maps(method: str, rules: Relevance, model: Model, images: Tensor, target: Objective) -> Tensor:
    """The relevance (B, H, W) of pixels; a line warns of operations without a rule, and of sums that exploded."""
    through = run_with_rules(model, images, target, rules)
    gradients, own = target_gradient(target, through.read, images)
    maps = ((images - baseline_image(model, images, "mean")) * (through.back(gradients) + own)).sum(1)
    score = target_score(target, through.read, images)
    exploded = maps.detach().flatten(1).sum(1).abs() > EXPLODED * score.abs()
    if rules.without_rule or bool(exploded.any()):  # else what is missing is the share of biases and epsilon
        warn_of_gap(method, maps.detach(), score, "the score", rules.without_rule)
    return maps


def _check_attn_lrp(*, gamma: float, conv_gamma: float, epsilon: float) -> None:
    if not min(gamma, conv_gamma, epsilon) >= 0:
        raise BadInput(
            "attn-lrp: expected gamma, conv_gamma and epsilon of at least 0, "
            f"got {gamma:g}, {conv_gamma:g} and {epsilon:g}"
        )


@method(
    "attn-lrp",
    check=_check_attn_lrp,
    paper="Achtibat et al. 2024",
    signed=True,
    help={
        "gamma": "extra weight of contributions that have the sign of a linear layer's output; 0: the epsilon rule",
        "conv_gamma": "the same for convolutions, such as a patch embedding",
        "epsilon": "stabiliser of the epsilon rule, relative to the root mean square of the layer's outputs",
    },
)
def attn_lrp(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    gamma: float = 0.05,
    conv_gamma: float = 0.25,
    epsilon: float = 0.01,
) -> Tensor:
    """AttnLRP (Achtibat et al. 2024): layer-wise relevance propagation through the weights of attention as well.

    Both factors of a product get half of its relevance (propositions 3.2 and 3.3), softmax is expanded to first order
    (proposition 3.1), the deviation in a normalisation is a constant (proposition 3.4), and linear layers follow the
    Gamma rule, as the paper has it for vision transformers. Without biases the map sums to S(x), up to what the
    expansion of softmax leaves out.
    """
    linear = LRPRule(gamma=gamma) if gamma else LRPRule(epsilon)
    convolution = LRPRule(gamma=conv_gamma) if conv_gamma else LRPRule(epsilon)
    rules = Relevance(convolution, linear, LRPRule(epsilon), bilinear=True)
    return _relevance_maps("attn-lrp", rules, model, images, target)


@method(
    "excitation-backprop",
    paper="Zhang et al. 2016",
    layer=True,
    help={"contrastive": "subtract the map of the opposite target, from negated weights of the top layer"},
)
def excitation_backprop(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, contrastive: bool = False
) -> Tensor:
    """Excitation backpropagation (Zhang et al. 2016): marginal winning probabilities of the layer's positions.

    A probabilistic winner-take-all process starts at the target and steps from z_k = sum_j w_jk a_j to j with a
    probability proportional to w_jk a_j, among positive contributions (section 3.2). The map sums to 1, unless a unit
    on the way has no excitatory input. `contrastive` subtracts the map of the opposite target, both normalised to
    sum 1, and keeps the positive part (section 3.3).
    """
    rules = Relevance(Z_PLUS)
    through = run_with_rules(model, images, target, rules, layer)
    gradients, _ = target_gradient(target, through.read, images)
    winning = {name: gradients[name].relu() * activation.abs() for name, activation in through.read.items()}
    total = torch.stack([values.flatten(1).sum(1) for values in winning.values()]).sum(0).clamp_min(TINY)
    starts = {  # the probability p = a m of an activation a at the start, as a multiplier m
        name: torch.where(activation == 0, 0, winning[name] / activation / _like(total, activation))
        for name, activation in through.read.items()
    }

    def probabilities() -> Tensor:
        return (through.start * through.back(starts)).detach().sum(1).clamp_min(0)

    winners = probabilities()
    if rules.without_rule:  # else what is missing is the share of biases
        one = torch.ones_like(winners[:, 0, 0])
        warn_of_gap("excitation-backprop", winners, one, "the probability", rules.without_rule)
    if not contrastive:
        return winners
    if not rules.layers:
        raise BadInput(
            f"excitation-backprop: there is no convolution or linear layer between {layer!r} and {target.name} whose "
            "weights could be negated: leave out contrastive, or choose an earlier layer"
        )
    rules.negated = rules.layers - 1
    return (_unit_sum(winners) - _unit_sum(probabilities())).relu()


def _like(numbers: Tensor, activation: Tensor) -> Tensor:
    """One number for each image (B,), reshaped to broadcast over an activation (B, ...)."""
    return numbers.view(-1, *[1] * (activation.ndim - 1))


def _unit_sum(maps: Tensor) -> Tensor:
    return maps / _like(maps.flatten(1).sum(1).clamp_min(TINY), maps)


@method("deeplift", paper="Shrikumar et al. 2017", signed=True, check=check_baseline, help={"baseline": BASELINE_HELP})
def deeplift(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, baseline: Baseline = "black"
) -> Tensor:
    """DeepLIFT (Shrikumar et al. 2017): M = (x - x') m, summed over the channels, m by the Rescale rule.

    Completeness: the map sums to S(x) - S(x'). Functional activations, modules that run several times, sums and
    products are supported (Captum supports modules that run once).
    """
    return _difference(model, images, baseline_image(model, images, baseline), target, "deeplift")


@method(
    "deep-shap",
    paper="Lundberg & Lee 2017",
    signed=True,
    check=check_background,
    help={"background": BACKGROUND_HELP},
)
def deep_shap(
    model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, background: str = ""
) -> Tensor:
    """Deep SHAP (Lundberg & Lee 2017): approximate SHAP values, the mean of DeepLIFT over several references.

    Completeness: the map sums to S(x) minus the mean score of the references.
    """
    references = background_images(model, images, background)
    return torch.stack([_difference(model, images, one, target, "deep-shap") for one in references]).mean(0)


def _difference(model: Model, images: Tensor, reference: Tensor, target: Objective, method: str) -> Tensor:
    """The contributions (B, H, W) of pixels to S(x) - S(x')."""
    rules = RescaleRule()
    before = run_with_rules(model, reference, target, rules)
    rules.start_input()
    after = run_with_rules(model, images, target, rules)
    mean: dict[str, Tensor] = {}
    own = torch.zeros_like(images)
    for point, weight in zip(*np.polynomial.legendre.leggauss(POINTS), strict=True):
        part = (1 + float(point)) / 2  # of the straight path from the reference
        read = {name: torch.lerp(before.read[name].detach(), each.detach(), part) for name, each in after.read.items()}
        gradients, direct = target_gradient(target, read, torch.lerp(reference, images, part))
        for name, gradient in gradients.items():
            mean[name] = mean.get(name, 0) + float(weight) / 2 * gradient
        own = own + float(weight) / 2 * direct
    maps = ((images - reference) * (after.back(mean) + own)).detach().sum(1)
    drop = target_score(target, after.read, images) - target_score(target, before.read, reference)
    warn_of_gap(method, maps, drop, "the difference of the scores", rules.without_rule)
    return maps
