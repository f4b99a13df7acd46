"""How a linear operation shares the relevance of its output among its inputs: the rules of LRP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from recipes.attribution.backward.function_rules import vjp

TINY = 1e-12
Part = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LRPRule:
    """How the contributions to a linear operation's output z share its relevance.

    With `alpha` and `gamma` 0, the Epsilon rule (Bach et al. 2015, eq. 58; the 0-rule for epsilon 0):
    R_j = sum_k a_j w_jk / (z_k + epsilon sign(z_k)) R_k.

    With a `gamma`, the Gamma rule (Montavon et al. 2019, section 10.2.3) for inputs of any sign: contributions of the
    sign of z_k count (1 + gamma) times, so that the sum they are divided by is never smaller than z_k. The bias is one
    of them.

    With an `alpha`, the AlphaBeta rule (Bach et al. 2015, eq. 60, without biases): positive contributions share
    alpha R_k and negative ones -beta R_k. If an output has contributions of one sign only, they share R_k; with beta 0
    negative ones never do. Alpha 1 and beta 0 are the ZPlus rule, which for activations of at least 0 is excitation
    backpropagation (Zhang et al. 2016, section 3.2).

    Attributes:
        epsilon: the stabiliser, in root mean squares of an image's z.
        alpha: weight of positive contributions, 1 + beta.
        beta: weight of negative contributions.
        gamma: extra weight of contributions that have the sign of the output.
    """

    epsilon: float = 1e-6
    alpha: float = 0.0
    beta: float = 0.0
    gamma: float = 0.0

    def epsilon_multiplier(self, z: Tensor, multiplier: Tensor) -> Tensor:
        """The multiplier of all contributions under the Epsilon rule."""
        size = z.abs()
        scale = z.square().flatten(1).mean(1).sqrt().view(-1, *[1] * (z.ndim - 1))
        return multiplier * size / (size + self.epsilon * scale + TINY)

    def alpha_beta_multipliers(
        self, relevance: Tensor, positive: Tensor, negative: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The multiplier of positive contributions from their sum, and that of negative ones if their sum is given."""
        has_positive = positive > TINY
        up = torch.where(has_positive, relevance / positive, 0)
        if negative is None:
            return (up,)
        has_negative = negative < -TINY
        down = torch.where(has_negative, relevance / negative, 0)
        return up * torch.where(has_negative, self.alpha, 1), down * torch.where(has_positive, -self.beta, 1)


@dataclass(frozen=True)
class Linear:
    """A linear operation with all of its weights, with the positive ones only, and with the negative ones only."""

    full: Part
    positive: Part
    negative: Part

    def propagate(self, rule: LRPRule, x: Tensor, z: Tensor, multiplier: Tensor) -> Tensor:
        """The multiplier of its input x from that of its output z."""
        if not rule.alpha and not rule.gamma:
            return vjp(self.full, x, rule.epsilon_multiplier(z, multiplier))
        signed = [x.clamp_min(0), x.clamp_max(0)] if rule.gamma or bool(x.min() < 0) else [x]
        signed = [half.detach().requires_grad_() for half in signed]
        if rule.gamma:
            return self._gamma(rule, x, z, multiplier, signed)
        with torch.enable_grad():
            sums = [self._sum(signed, self.positive, self.negative)]
            if rule.beta:
                sums.append(self._sum(signed, self.negative, self.positive))
        multipliers = rule.alpha_beta_multipliers(multiplier * z, *(each.detach() for each in sums))
        found = torch.autograd.grad(sums, signed, multipliers)
        return found[0] if len(found) == 1 else torch.where(x > 0, found[0], found[1])

    def _gamma(self, rule: LRPRule, x: Tensor, z: Tensor, multiplier: Tensor, signed: list[Tensor]) -> Tensor:
        with torch.enable_grad():
            plain = self.full(signed[0]) + self.full(signed[1])
            sums = [
                plain + rule.gamma * self._sum(signed, *parts)
                for parts in ((self.positive, self.negative), (self.negative, self.positive))
            ]
        bias = z - plain.detach()
        own = [bias + rule.gamma * bias.clamp_min(0), bias + rule.gamma * bias.clamp_max(0)]
        multipliers = [
            torch.where(side, multiplier * z / torch.where(side, total.detach() + part, 1), 0)
            for side, total, part in zip((z > TINY, z < -TINY), sums, own, strict=True)
        ]
        found = torch.autograd.grad(sums, signed, multipliers)
        return torch.where(x > 0, found[0], found[1])

    @staticmethod
    def _sum(signed: list[Tensor], *parts: Part) -> Tensor:
        """The positive inputs through the first part plus the negative inputs through the second."""
        return reduce(torch.add, (part(half) for part, half in zip(parts, signed, strict=False)))
