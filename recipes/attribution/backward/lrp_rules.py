"""Layer-wise relevance propagation: a score is redistributed operation by operation, down to the image or a layer.

An activation a with the multiplier m has the relevance R = a m. For a linear operation z_k = sum_j a_j w_jk, an
`LRPRule` defines how the contributions a_j w_jk share R_k. Batch normalisation is folded into the convolution before
it. Activation functions, and normalisation without a convolution, propagate all of their relevance. A product of
matrices shares it equally, except for attention: its weights are constants (Ali et al. 2022, "XAI for Transformers"),
unless the rules are `bilinear` (Achtibat et al. 2024, "AttnLRP").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from inverter.ascent.relu_spellings import function_name
from inverter.capture.attention_functions import explicit_attention
from recipes.attribution.backward.function_rules import Back, Call, Rules, vjp
from recipes.attribution.backward.functions import is_linear, kind_of
from recipes.attribution.backward.linear_rules import TINY, Linear, LRPRule, Part


class Relevance(Rules):
    """A context in which the operations of a network propagate relevance by LRP rules.

    Args:
        rule: of convolutions.
        linear_rule: of linear layers (default: `rule`).
        sum_rule: of means and sums (default: `rule`).
        bilinear: True for the rules of AttnLRP (Achtibat et al. 2024): attention weights and values are factors like
            any others, which get half of the relevance of their product (proposition 3.3), and softmax keeps its
            gradient, the first order of its Taylor expansion (proposition 3.1: R_i = x_i (R_i - s_i sum_j R_j)).

    Attributes:
        layers: number of convolutions and linear layers that have run.
        negated: index of the layer whose weights are negated in the backward pass, under the AlphaBeta and ZPlus rules;
            None for none. It may be changed between two backward passes.
    """

    def __init__(
        self,
        rule: LRPRule,
        linear_rule: LRPRule | None = None,
        sum_rule: LRPRule | None = None,
        bilinear: bool = False,
    ) -> None:
        super().__init__()
        self.rule, self.linear_rule, self.sum_rule = rule, linear_rule or rule, sum_rule or rule
        self.bilinear, self.layers = bilinear, 0
        self.negated: int | None = None
        self._latest: tuple[Tensor, Call, tuple[Tensor, ...]] | None = None

    def __exit__(self, *exception: Any) -> None:
        self._latest = None  # the graph's nodes refer to the rules: a cycle would stay in memory
        super().__exit__(*exception)

    def passes(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        # The largest input gets all relevance of a maximum: that is its gradient.
        return is_linear(name, args, kwargs) or kind_of(name) in ("maximum", "minimum")

    def weighted(self, call: Call) -> Tensor:
        weight, rule, tensors = _weight(call), self._rule(call), call.tensors
        if rule.alpha or rule.gamma:
            output = call.with_backward(self._backward(call, weight, call.output))
        else:  # the rest is the ordinary gradient
            output = call.with_gradient(lambda multiplier, z: rule.epsilon_multiplier(z, multiplier))
        self._latest = output, call, tensors
        self.layers += 1
        return output

    def _rule(self, call: Call) -> LRPRule:
        return self.linear_rule if function_name(call.function) == "linear" else self.rule

    def _backward(self, call: Call, weight: Tensor, z: Tensor) -> Back:
        rule = self._rule(call)
        options = {key: value for key, value in call.kwargs.items() if key not in ("weight", "bias")}
        number = self.layers

        def part(clamp: Part) -> Part:
            def apply(x: Tensor) -> Tensor:
                signed = -weight if self.negated == number else weight
                return call.function(x, clamp(signed), None, *call.rest[2:], **options)

            return apply

        linear = Linear(part(lambda w: w), part(lambda w: w.clamp_min(0)), part(lambda w: w.clamp_max(0)))
        return lambda multiplier: (linear.propagate(rule, call.inputs[0], z, multiplier),)

    def batch_norm(self, call: Call) -> Tensor:
        fixed = is_linear("batch_norm", (*call.tensors, *call.rest), call.kwargs)
        if not fixed or self._latest is None or self._latest[0] is not call.tensors[0]:
            return self.elementwise(call)
        self.layers -= 1  # the convolution is counted once
        _, convolution, tensors = self._latest
        convolution.tensors, weight = tensors, _weight(convolution)
        ones = weight.new_ones(1, len(weight), *[1] * (weight.ndim - 2))
        slope = (call.apply(ones) - call.apply(0 * ones)).flatten().view(-1, *[1] * (weight.ndim - 1))
        output = convolution.with_backward(self._backward(convolution, weight * slope, call.output), call.output)
        self.layers += 1
        return output

    def mean(self, call: Call) -> Tensor:
        linear = Linear(call.apply, call.apply, lambda x: 0 * call.apply(x))
        return call.with_backward(lambda m: (linear.propagate(self.sum_rule, call.inputs[0], call.output, m),))

    def elementwise(self, call: Call) -> Tensor:
        if function_name(call.function) == "relu" and not call.inplace:
            return call.unchanged()  # z / x is its gradient
        x, z = call.inputs[0], call.output
        ratio = torch.where(x.abs() > TINY, z / torch.where(x.abs() > TINY, x, 1), 0)
        return call.with_backward(lambda multiplier: (multiplier * ratio,))

    def normalisation(self, call: Call) -> Tensor:
        """The standard deviation is a constant (Ali et al. 2022, eq. 9): what is left is linear."""
        x, name, given = call.inputs[0], function_name(call.function), call.kwargs
        if self.bilinear and name == "softmax":
            return call.unchanged()
        if name not in ("layer_norm", "group_norm", "rms_norm"):
            return self.elementwise(call)
        parts: Any = call.rest[0] if call.rest else given.get("num_groups", given.get("normalized_shape"))
        weight = call.rest[1] if len(call.rest) > 1 else given.get("weight")
        groups = [x.shape[0], parts] if name == "group_norm" else list(x.shape[: x.ndim - len(parts)])
        rows = x.reshape(*groups, -1)
        centred = rows if name == "rms_norm" else rows - rows.mean(-1, keepdim=True)
        place = 2 if name == "rms_norm" else 3
        eps = call.rest[place] if len(call.rest) > place else given.get("eps")
        scale = (centred.square().mean(-1, keepdim=True) + (1e-5 if eps is None else eps)).rsqrt()
        if weight is not None and name == "group_norm":
            weight = weight.view(1, -1, *[1] * (x.ndim - 2))

        def back(m: Tensor) -> tuple[Tensor]:
            m = (m if weight is None else m * weight).reshape(rows.shape) * scale
            return ((m if name == "rms_norm" else m - m.mean(-1, keepdim=True)).view_as(x),)

        return call.with_backward(back)

    def quotient(self, call: Call) -> Tensor:
        """The numerator gets all relevance."""
        a, b = call.tensors
        call.tensors = (a, b.detach()) if a.requires_grad else (a, b)
        return call.unchanged()

    def product(self, call: Call) -> Tensor:
        """A product of matrices: half for each; all for the values that attention weights average, if not bilinear."""
        a, b = call.inputs
        if not all(each.requires_grad for each in call.tensors):
            return call.unchanged()
        shares = (0.0, 1.0) if not self.bilinear and _averages(a) else (0.5, 0.5)

        def back(m: Tensor) -> tuple[Tensor, ...]:
            of_a, of_b = vjp(lambda x: call.apply(x, b), a, m), vjp(lambda x: call.apply(a, x), b, m)
            return shares[0] * of_a, shares[1] * of_b

        return call.with_backward(back)

    def attention(self, call: Call) -> Tensor:
        """Attention weights are constants: the values get all relevance. If bilinear, step by step."""
        if self.bilinear:
            given: Any = (*call.tensors, *call.rest)
            with self:
                return explicit_attention(*given, **call.kwargs)[1]
        query, key, value = call.tensors
        call.tensors = (query.detach(), key.detach(), value)
        return call.unchanged()

    def add(self, call: Call) -> Tensor:
        """The sum of two branches, or of a branch and a constant: a linear operation with both as contributions."""
        a, b = call.inputs
        if call.rest or call.kwargs:
            return call.unchanged()
        z, rule = call.output, self.sum_rule

        def back(multiplier: Tensor) -> tuple[Tensor, ...]:
            if not rule.alpha:
                shared = rule.epsilon_multiplier(z, multiplier)
                return tuple(shared.sum_to_size(each.shape) for each in (a, b))
            sums = [a.clamp_min(0) + b.clamp_min(0)]
            if rule.beta:
                sums.append(a.clamp_max(0) + b.clamp_max(0))
            up, *down = rule.alpha_beta_multipliers(multiplier * z, *sums)
            return tuple(torch.where(each > 0, up, down[0] if down else 0).sum_to_size(each.shape) for each in (a, b))

        return call.with_backward(back)

    def multiply(self, call: Call) -> Tensor:
        """A signal times a gate, the smaller tensor of the two: the signal gets all relevance."""
        a, b = call.inputs
        if call.output.shape not in (a.shape, b.shape) or not (
            call.tensors[0].requires_grad and call.tensors[1].requires_grad
        ):
            return call.unchanged()
        if a.numel() == b.numel():
            return call.with_backward(lambda m: (m * b / 2, m * a / 2))
        return call.with_backward(lambda m: (m * b, None) if a.numel() > b.numel() else (None, m * a))


def _averages(weights: Tensor) -> bool:
    """Whether each row of a matrix consists of weights that sum to 1, as those of attention do."""
    if bool((weights < 0).any()):
        return False
    total = weights.sum(-1)
    return torch.allclose(total, torch.ones_like(total), rtol=0, atol=1e-3)


def _weight(call: Call) -> Tensor:
    return call.rest[0] if call.rest else call.kwargs["weight"]
