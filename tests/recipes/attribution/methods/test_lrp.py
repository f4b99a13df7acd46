"""Layer-wise relevance propagation: what is kept, rules by hand, and those of Captum."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, evaluate, load_model
from objectives import channel, logit
from recipes.attribution import explain
from recipes.attribution.backward.lrp_rules import LRPRule, Relevance
from tests.propagated_networks import ON_MAPS, ON_TOKENS, Middle, Plain, Wild, model_of, seeded


@pytest.mark.parametrize("rule", ["epsilon", "z+", "alpha-beta", "composite"])
def test_without_biases_relevance_is_kept(rule: str, pictures: Tensor) -> None:
    model = model_of(seeded(lambda: Plain(bias=False)))
    maps = explain(model, pictures, logit([4, 0, 2]), f"lrp:rule={rule},epsilon=0")
    torch.testing.assert_close(maps.sum((1, 2)), evaluate(model, logit([4, 0, 2]), pictures), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        *("prelu", "clamp", "square", "quotient", "softsign", "adaptive max pooling", "maximum", "max over rows"),
        *("minimum over rows", "sorted", "group normalisation", "instance normalisation", "softmax", "in place"),
        *("product of maps", "another mask", "layer normalisation", "root mean square", "attention"),
        *("attention by hand", "attention module without biases"),
    ],
)
def test_relevance_passes_operations_with_a_rule(name: str, pictures: Tensor) -> None:
    model = model_of(seeded(lambda: Middle((ON_MAPS | ON_TOKENS)[name](), name in ON_TOKENS, False)))
    maps = explain(model, pictures, logit(3), "lrp:rule=epsilon,epsilon=0")
    expected = evaluate(model, logit(3), pictures)
    if name in ("group normalisation", "instance normalisation", "layer normalisation"):
        expected = maps.sum((1, 2))  # what the mean takes away is no relevance
    torch.testing.assert_close(maps.sum((1, 2)), expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("name", ["product of maps", "root mean square", "in place", "layer normalisation", "prelu"])
@pytest.mark.parametrize("gamma", [0, 0.25])
def test_attn_lrp_keeps_relevance_where_there_is_no_softmax(name: str, gamma: float, pictures: Tensor) -> None:
    tokens = name in ON_TOKENS
    model = model_of(seeded(lambda: Middle((ON_MAPS | ON_TOKENS)[name](), tokens, False)))
    maps = explain(model, pictures, logit(3), f"attn-lrp:gamma={gamma},conv_gamma={gamma},epsilon=0")
    expected = evaluate(model, logit(3), pictures)
    if name == "layer normalisation":  # what the mean takes away is no relevance
        tokens = model.module.first(model.normalize(pictures)).flatten(2).mT
        gradient = model.module.head.weight[3] / tokens.shape[1] * tokens.std(2, correction=0, keepdim=True) ** -1
        expected = ((tokens - tokens.mean(2, keepdim=True)) * gradient).sum((1, 2)).detach()
    torch.testing.assert_close(maps.sum((1, 2)), expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("fused", [True, False])
def test_attn_lrp_is_the_papers_rules_by_hand(fused: bool) -> None:
    """Propositions 3.1 (softmax) and 3.3 (products), one operation after the other, in relevances."""
    random = torch.Generator().manual_seed(0)
    query, key, value, given = (torch.randn(1, 2, 5, 4, generator=random) for _ in range(4))
    leaves = [each.clone().requires_grad_() for each in (query, key, value)]
    with Relevance(LRPRule(), bilinear=True):
        if fused:
            output = F.scaled_dot_product_attention(*leaves)
        else:
            output = torch.softmax(leaves[0] / 2 @ leaves[1].mT, -1) @ leaves[2]
    found = torch.autograd.grad(output, leaves, given)

    scores = query @ key.mT / 2
    weights = scores.softmax(-1)
    relevance = given * (weights @ value)
    of_weights = torch.einsum("bhij,bhjp,bhip->bhij", weights, value, relevance / (2 * (weights @ value)))
    of_value = torch.einsum("bhij,bhjp,bhip->bhjp", weights, value, relevance / (2 * (weights @ value)))
    of_scores = scores * (of_weights - weights * of_weights.sum(-1, keepdim=True))
    of_query = torch.einsum("bhip,bhjp,bhij->bhip", query / 2, key, of_scores / (2 * scores))
    of_key = torch.einsum("bhip,bhjp,bhij->bhjp", query / 2, key, of_scores / (2 * scores))
    for each, multiplier, expected in zip((query, key, value), found, (of_query, of_key, of_value), strict=True):
        torch.testing.assert_close(each * multiplier, expected, rtol=1e-3, atol=1e-5)
    for parts, total in (((of_weights, of_value), relevance), ((of_query, of_key), of_scores)):
        torch.testing.assert_close(sum(part.sum() for part in parts), total.sum(), rtol=1e-4, atol=1e-4)


@given(st.integers(0, 99), st.floats(0.01, 2))
def test_contributions_of_the_outputs_sign_count_more_by_hand(seed: int, gamma: float) -> None:
    random = torch.Generator().manual_seed(seed)
    x, w, b, m = (torch.randn(*shape, generator=random) for shape in ((1, 4), (3, 4), (3,), (1, 3)))
    with Relevance(LRPRule(gamma=gamma)):
        leaf = x.clone().requires_grad_()
        z = F.linear(leaf, w, b)
    (found,) = torch.autograd.grad(z, leaf, m)
    expected = torch.zeros(4)
    for k in range(3):
        parts = torch.cat([x[0] * w[k], b[k : k + 1]])
        same = parts.clamp_min(0) if z[0, k] > 0 else parts.clamp_max(0)
        expected += (m[0, k] * z[0, k] * (parts + gamma * same) / (parts + gamma * same).sum()).detach()[:4]
    torch.testing.assert_close(found[0] * x[0], expected, rtol=1e-3, atol=1e-4)


def test_relevance_passes_branches_gates_and_odd_activations(pictures: Tensor) -> None:
    class Odd(Wild):
        def forward(self, x: Tensor) -> Tensor:
            x = self.act(3 * self.first(x))
            y = F.silu(self.second(x)) * torch.sigmoid(self.gate(x).mean((2, 3), keepdim=True))
            y += x
            return self.head(torch.cat([y, F.elu(y)], 1).mean((2, 3)))

    model = model_of(seeded(lambda: Odd(bias=False)))
    maps = explain(model, pictures, logit(3), "lrp:rule=epsilon,epsilon=0")
    torch.testing.assert_close(maps.sum((1, 2)), evaluate(model, logit(3), pictures), rtol=1e-3, atol=1e-5)


def test_with_epsilon_0_and_relus_relevance_is_gradient_times_input(tiny: Model, pictures: Tensor) -> None:
    tiny.module.stem[1] = nn.Identity()  # normalisation is folded: its bias counts as the convolution's
    relevance = explain(tiny, pictures, logit(2), "lrp:rule=epsilon,epsilon=0")
    expected = explain(tiny, pictures, logit(2), "gradient-x-input")
    torch.testing.assert_close(relevance, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(("rule", "theirs"), [("epsilon", "EpsilonRule"), ("z+", "Alpha1_Beta0_Rule")])
def test_lrp_is_captums_where_captum_has_it(rule: str, theirs: str, pictures: Tensor) -> None:
    attr = pytest.importorskip("captum.attr")
    rules = pytest.importorskip("captum.attr._utils.lrp_rules")
    net = seeded(lambda: Plain(bias=rule == "epsilon"))
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.rule = getattr(rules, theirs)()
    expected = attr.LRP(net).attribute(pictures.clone().requires_grad_(), target=2).sum(1).detach()
    found = explain(
        load_model(net, normalize="none", input_size=16, device="cpu"), pictures, logit(2), f"lrp:rule={rule},epsilon=0"
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6 + 1e-4 * float(expected.abs().max()))


@given(st.integers(0, 99), st.floats(0, 2))
def test_positive_and_negative_contributions_share_by_hand(seed: int, beta: float) -> None:
    random = torch.Generator().manual_seed(seed)
    x, w, m = (torch.randn(*shape, generator=random) for shape in ((1, 4), (3, 4), (1, 3)))
    with Relevance(LRPRule(alpha=1 + beta, beta=beta)):
        leaf = x.clone().requires_grad_()
        z = F.linear(leaf, w)
    (found,) = torch.autograd.grad(z, leaf, m)
    expected = torch.zeros(4)
    for k in range(3):
        parts, relevance = x[0] * w[k], m[0, k] * z[0, k].detach()
        plus, minus = parts.clamp_min(0), parts.clamp_max(0)
        if not plus.any():
            expected += relevance * minus / minus.sum() if beta else 0
        elif not minus.any() or not beta:
            expected += relevance * plus / plus.sum()
        else:
            expected += relevance * ((1 + beta) * plus / plus.sum() - beta * minus / minus.sum())
    torch.testing.assert_close(found[0] * x[0], expected, rtol=1e-3, atol=1e-4)


def test_normalisation_is_folded_into_the_convolution_before_it(pictures: Tensor) -> None:
    class Normalised(nn.Sequential):
        def __init__(self) -> None:
            convolution, norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
            for values in (norm.weight, norm.bias, norm.running_mean):
                nn.init.normal_(values)
            nn.init.uniform_(norm.running_var, 0.2, 2)
            super().__init__(convolution, norm, nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(6 * 14 * 14, 3))

    net = seeded(Normalised)
    slope = net[1].weight / (net[1].running_var + net[1].eps).sqrt()
    folded = nn.Sequential(nn.Conv2d(3, 6, 3), *list(net)[2:])
    folded[0].weight.data = (net[0].weight * slope[:, None, None, None]).detach()
    folded[0].bias.data = (slope * (net[0].bias - net[1].running_mean) + net[1].bias).detach()
    for rule in ("z+", "epsilon", "alpha-beta"):
        one, other = (explain(model_of(each), pictures, logit(1), f"lrp:rule={rule}") for each in (net, folded))
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()))


def test_normalisation_is_folded_into_a_linear_layer_too(pictures: Tensor) -> None:
    layers = (nn.Flatten(), nn.Linear(768, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2, bias=False))
    net = seeded(lambda: nn.Sequential(*layers))
    net[1].bias.data.zero_()
    maps = explain(model_of(net), pictures, logit(1), "lrp:rule=epsilon,epsilon=0")
    torch.testing.assert_close(maps.sum((1, 2)), evaluate(model_of(net), logit(1), pictures), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("lrp:rule=epsilom", "unknown rule 'epsilom'; did you mean epsilon"),
        ("lrp:beta=-1", "epsilon and beta of at least 0, got 0.01 and -1"),
        ("attn-lrp:gamma=-1", "expected gamma, conv_gamma and epsilon of at least 0, got -1"),
        ("deep-shap:background=nowhere", "no picture or folder 'nowhere'"),
        ("excitation-backprop:contrastive=true", "no convolution or linear layer between 'mix' and channel"),
    ],
)
def test_bad_options_are_reported_in_one_line(method: str, message: str, tiny: Model, pictures: Tensor) -> None:
    with pytest.raises((ValueError, OSError), match=message) as caught:
        explain(tiny, pictures, channel("mix", 1), method)
    assert "\n" not in str(caught.value)
