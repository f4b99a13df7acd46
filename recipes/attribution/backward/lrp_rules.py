"""Relevance: a score divided among what went into it, operation by operation, back to the picture or to a layer.

An activation a with the multiplier m has the relevance R = a m. Of a linear operation z_k = sum over j of a_j w_jk, a
`LRPRule` says which of the contributions a_j w_jk share R_k. Batch normalisation is folded into the convolution before
it; activation functions, and normalisation without a convolution, pass all of their relevance on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from recipes.attribution.backward.function_rules import Back, Call, Rules, vjp

TINY = 1e-12
Part = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LRPRule:
    """Which contributions share the relevance of a linear operation's output z.

    By default all, R_j = sum over k of a_j w_jk / (z_k + e sign z_k) R_k (Bach et al. 2015, eq. 58). With `alpha`, the
    positive ones share alpha R_k and the negative ones -beta R_k (eq. 60, biases left out); where there are only such
    of one kind, they share R_k, except that with beta 0 negative ones never share. That, alpha 1 and beta 0, is the z+
    rule, and of activations of at least 0 excitation backpropagation (Zhang et al. 2016, section 3.2).

    Attributes:
        epsilon: e, in root mean squares of a picture's z.
    """

    epsilon: float = 1e-6
    alpha: float = 0.0
    beta: float = 0.0

    def all(self, z: Tensor, multiplier: Tensor) -> Tensor:
        """The multiplier of all contributions."""
        size = z.abs()
        scale = z.square().flatten(1).mean(1).sqrt().view(-1, *[1] * (z.ndim - 1))
        return multiplier * size / (size + self.epsilon * scale + TINY)

    def each(self, relevance: Tensor, excited: Tensor, inhibited: Tensor | None = None) -> tuple[Tensor, ...]:
        """The multiplier of positive contributions from their sum; if negative ones share too, then also theirs."""
        gain = excited > TINY
        up = torch.where(gain, relevance / excited, 0)
        if inhibited is None:
            return (up,)
        loss = inhibited < -TINY
        down = torch.where(loss, relevance / inhibited, 0)
        return up * torch.where(loss, self.alpha, 1), down * torch.where(gain, -self.beta, 1)


@dataclass(frozen=True)
class Linear:
    """A linear operation: whole, with its positive weights alone, and with its negative ones."""

    whole: Part
    up: Part
    down: Part

    def share(self, sharing: LRPRule, x: Tensor, z: Tensor, multiplier: Tensor) -> Tensor:
        """The multiplier of its input x from that of its output z."""
        if not sharing.alpha:
            return vjp(self.whole, x, sharing.all(z, multiplier))
        signed = [x.clamp_min(0), x.clamp_max(0)] if bool(x.min() < 0) else [x]
        signed = [half.detach().requires_grad_() for half in signed]
        with torch.enable_grad():
            sums = [self._sum(signed, self.up, self.down)]
            if sharing.beta:
                sums.append(self._sum(signed, self.down, self.up))
        given = sharing.each(multiplier * z, *(each.detach() for each in sums))
        found = torch.autograd.grad(sums, signed, given)
        return found[0] if len(found) == 1 else torch.where(x > 0, found[0], found[1])

    @staticmethod
    def _sum(signed: list[Tensor], *parts: Part) -> Tensor:
        """What the positive inputs make through the first part, and the negative ones through the second."""
        return reduce(torch.add, (part(half) for part, half in zip(parts, signed, strict=False)))


class Relevance(Rules):
    """A context in which the operations of a network pass relevance on.

    Args:
        sharing: of convolutions, means and sums; dense: of linear layers.

    Attributes:
        layers: how many convolutions and linear layers have run.
        negated: the number of the one whose weights count with the other sign on the way back, where contributions
            share by their sign; None for none. It may be changed between two ways back.
    """

    def __init__(self, sharing: LRPRule, dense: LRPRule | None = None) -> None:
        super().__init__()
        self.sharing, self.dense, self.layers = sharing, dense or sharing, 0
        self.negated: int | None = None
        self._latest: tuple[Tensor, Call, tuple[Tensor, ...]] | None = None

    def __exit__(self, *exception: Any) -> None:
        self._latest = None  # rules that held a graph whose nodes hold the rules would stay in memory
        super().__exit__(*exception)

    def weighted(self, call: Call) -> Tensor:
        weight, sharing, given = _weight(call), self._sharing(call), call.given
        if sharing.alpha:
            output = call.replaced(self._shared(call, weight, call.output))
        else:  # what is left is the gradient's way
            output = call.with_gradient(lambda multiplier, z: sharing.all(z, multiplier))
        self._latest = output, call, given
        self.layers += 1
        return output

    def _sharing(self, call: Call) -> LRPRule:
        return self.dense if call.function.__name__ == "linear" else self.sharing

    def _shared(self, call: Call, weight: Tensor, z: Tensor) -> Back:
        sharing = self._sharing(call)
        options = {key: value for key, value in call.kwargs.items() if key not in ("weight", "bias")}
        number = self.layers

        def part(bound: Part) -> Part:
            def of(x: Tensor) -> Tensor:
                signed = -weight if self.negated == number else weight
                return call.function(x, bound(signed), None, *call.rest[2:], **options)

            return of

        linear = Linear(part(lambda w: w), part(lambda w: w.clamp_min(0)), part(lambda w: w.clamp_max(0)))
        return lambda multiplier: (linear.share(sharing, call.inputs[0], z, multiplier),)

    def batch_norm(self, call: Call) -> Tensor:
        if self._latest is None or self._latest[0] is not call.given[0]:
            return self.elementwise(call)
        self.layers -= 1  # the convolution is counted once
        _, convolution, given = self._latest
        convolution.given, weight = given, _weight(convolution)
        ones = weight.new_ones(1, len(weight), *[1] * (weight.ndim - 2))
        slope = (call.of(ones) - call.of(0 * ones)).flatten().view(-1, *[1] * (weight.ndim - 1))
        output = convolution.replaced(self._shared(convolution, weight * slope, call.output), call.output)
        self.layers += 1
        return output

    def mean(self, call: Call) -> Tensor:
        linear = Linear(call.of, call.of, lambda x: 0 * call.of(x))
        return call.replaced(lambda m: (linear.share(self.sharing, call.inputs[0], call.output, m),))

    def elementwise(self, call: Call) -> Tensor:
        if call.function.__name__.rstrip("_") == "relu":
            return call.usual()  # z / x is its gradient
        x, z = call.inputs[0], call.output
        ratio = torch.where(x.abs() > TINY, z / torch.where(x.abs() > TINY, x, 1), 0)
        return call.replaced(lambda multiplier: (multiplier * ratio,))

    def add(self, call: Call) -> Tensor:
        """The sum of two branches: a linear operation whose contributions are both."""
        a, b = call.inputs
        if a.shape != b.shape or call.rest or call.kwargs:
            return call.usual()
        z, sharing = call.output, self.sharing

        def back(multiplier: Tensor) -> tuple[Tensor, ...]:
            if not sharing.alpha:
                return (sharing.all(z, multiplier),) * 2
            sums = [a.clamp_min(0) + b.clamp_min(0)]
            if sharing.beta:
                sums.append(a.clamp_max(0) + b.clamp_max(0))
            gain, *loss = sharing.each(multiplier * z, *sums)
            return tuple(torch.where(each > 0, gain, loss[0] if loss else 0) for each in (a, b))

        return call.replaced(back)

    def multiply(self, call: Call) -> Tensor:
        """A signal times a gate, which is the smaller of both: the signal gets all relevance."""
        a, b = call.inputs
        if call.output.shape not in (a.shape, b.shape) or not (
            call.given[0].requires_grad and call.given[1].requires_grad
        ):
            return call.usual()
        if a.numel() == b.numel():
            return call.replaced(lambda m: (m * b / 2, m * a / 2))
        return call.replaced(lambda m: (m * b, None) if a.numel() > b.numel() else (None, m * a))


def _weight(call: Call) -> Tensor:
    return call.rest[0] if call.rest else call.kwargs["weight"]
