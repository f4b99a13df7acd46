"""LRP, excitation backpropagation, DeepLIFT and Deep SHAP: sums, references by hand, localization in photographs."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, evaluate, load_model
from objectives import channel, logit, softmax
from recipes.attribution import explain
from recipes.attribution.backward.lrp_rules import LRPRule, Relevance
from recipes.attribution.scoring.baselines import BASELINES, Baseline, baseline_image


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


class Plain(nn.Module):
    """A network of modules that run once, without maxima: Captum's rules are valid for it."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.first, self.act, self.pool = nn.Conv2d(3, 8, 3, padding=1, bias=bias), nn.ReLU(), nn.AvgPool2d(2)
        self.second, self.again, self.head = nn.Conv2d(8, 8, 3, bias=bias), nn.ReLU(), nn.Linear(288, 5, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.again(self.second(self.pool(self.act(self.first(x))))).flatten(1))


def model_of(net: nn.Module) -> Model:
    return load_model(net, normalize=((0.4, 0.5, 0.6), (0.2, 0.3, 0.25)), input_size=16, device="cpu")


class Wild(nn.Module):
    """Functional and repeated activations of several kinds, partly in place, a gate, branches, sums and a maximum."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(8, 8, 3, padding=1, bias=bias)
        self.gate = nn.Conv2d(8, 8, 1, bias=bias)
        self.act = nn.ReLU6(inplace=True)
        self.head = nn.Linear(16, 5, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(3 * self.first(x))
        y = F.hardswish(self.second(x))
        y = y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        y += x
        y = torch.cat([F.max_pool2d(self.act(y), 2), F.avg_pool2d(torch.tanh(y), 2)], 1)
        return self.head(F.adaptive_avg_pool2d(y, 1).flatten(1))


# ---- DeepLIFT and Deep SHAP ----


@pytest.mark.parametrize("make", [Plain, Wild])
@pytest.mark.parametrize("baseline", BASELINES)
def test_deeplift_is_complete(make: Callable[[], nn.Module], baseline: Baseline, pictures: Tensor) -> None:
    model = model_of(seeded(make))
    reference = baseline_image(model, pictures, baseline)
    for target in (logit([4, 0, 2]), softmax([1, 1, 3]), channel("second", 3) * channel("second", 1)):
        maps = explain(model, pictures, target, f"deeplift:baseline={baseline}")
        difference = evaluate(model, target, pictures) - evaluate(model, target, reference)
        torch.testing.assert_close(maps.sum((1, 2)), difference, rtol=1e-3, atol=1e-5)


class Middle(nn.Module):
    """Any operation between a convolution and a linear layer, on maps or on tokens."""

    def __init__(self, middle: Callable[[Tensor], Tensor], tokens: bool, bias: bool) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 3, 2, 1, bias=bias), nn.Linear(8, 5, bias=bias)
        self.middle, self.tokens = middle, tokens

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.head(self.middle(x.flatten(2).mT).mean(1) if self.tokens else self.middle(x).mean((2, 3)))


def written_in_place(x: Tensor) -> Tensor:
    x = x + 0
    x.clamp_(min=0)
    x *= 2
    x.pow_(2)
    return x.div_(1 + x.mean(1, keepdim=True))


class Attention(nn.Module):
    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, bias=bias, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


ON_MAPS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "prelu": nn.PReLU,
    "clamp": lambda: lambda x: x.clamp(-0.2, 0.5),
    "threshold": lambda: nn.Threshold(0.1, 0.05),
    "softsign": nn.Softsign,
    "square": lambda: Tensor.square,
    "power": lambda: lambda x: x**3,
    "quotient": lambda: lambda x: x / (1 + x.abs().sum(1, keepdim=True)),
    "adaptive max pooling": lambda: nn.AdaptiveMaxPool2d(1),
    "maximum": lambda: lambda x: torch.maximum(x, x.flip(3)),
    "max over rows": lambda: lambda x: x.max(3, keepdim=True).values,
    "minimum over rows": lambda: lambda x: x.amin(2, keepdim=True),
    "sorted": lambda: lambda x: x.sort(3).values,
    "max pooling with indices": lambda: lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "group normalisation": lambda: nn.GroupNorm(2, 8),
    "instance normalisation": lambda: nn.InstanceNorm2d(8),
    "response normalisation": lambda: nn.LocalResponseNorm(3),
    "softmax": lambda: nn.Softmax(1),
    "log_softmax": lambda: nn.LogSoftmax(1),
    "product of maps": lambda: lambda x: x @ x.mT,
    "einsum": lambda: lambda x: torch.einsum("bchw,bdhw->bcd", x, x)[..., None],
    "glu": lambda: lambda x: F.glu(torch.cat([x, x.flip(2)], 1), 1),
    "leaky ReLU by where": lambda: lambda x: torch.where(x > 0, x, 0.1 * x),
    "another mask": lambda: lambda x: x * (x > 0.3),
    "in place": lambda: written_in_place,
}
ON_TOKENS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "layer normalisation": lambda: nn.LayerNorm(8),
    "root mean square": lambda: nn.RMSNorm(8),
    "attention": lambda: lambda x: F.scaled_dot_product_attention(x, x, x),
    "attention by hand": lambda: lambda x: (x @ x.mT).softmax(-1) @ x,
    "attention module": Attention,
    "attention module without biases": lambda: Attention(bias=False),
    "encoder": lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
}


@pytest.mark.parametrize("name", [*ON_MAPS, *ON_TOKENS])
@pytest.mark.parametrize("baseline", ["black", "blur"])
def test_deeplift_is_complete_whatever_the_operation(name: str, baseline: Baseline, pictures: Tensor) -> None:
    make = (ON_MAPS | ON_TOKENS)[name]
    model = model_of(seeded(lambda: Middle(make(), name in ON_TOKENS, True)))
    maps = explain(model, pictures, logit([4, 0, 2]), f"deeplift:baseline={baseline}")
    reference = baseline_image(model, pictures, baseline)
    difference = evaluate(model, logit([4, 0, 2]), pictures) - evaluate(model, logit([4, 0, 2]), reference)
    torch.testing.assert_close(maps.sum((1, 2)), difference, rtol=0.01, atol=1e-3)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_missing_sum_is_said(pictures: Tensor) -> None:
    hidden = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)).eval()
    traced = seeded(lambda: Middle(torch.jit.trace(hidden, torch.rand(1, 8, 8, 8)), False, True))
    message = r"a map sums to .* is missing; without a rule: the inside of TorchScript modules"
    for method in ("deeplift", "deep-shap", "lrp", "excitation-backprop"):
        with pytest.warns(UserWarning, match=f"{method}: {message}") as caught:
            explain(model_of(traced), pictures, logit(1), method, layer="first" if "exc" in method else None)
        assert "\n" not in str(caught[0].message)
    gated = model_of(seeded(lambda: Middle(ON_MAPS["glu"](), False, False)))
    with pytest.warns(UserWarning, match="lrp: .* without a rule: glu"):
        explain(gated, pictures, logit(1), "lrp:rule=epsilon,epsilon=0")


def test_operations_that_depend_on_the_image_are_refused(pictures: Tensor) -> None:
    def early(x: Tensor) -> Tensor:
        return x.relu().square() if x.std() > 0.01 else x

    model = model_of(seeded(lambda: Middle(early, False, False)))
    with pytest.raises(ValueError, match="use integrated-gradients for a network whose operations depend"):
        explain(model, pictures, logit(1), "deeplift:baseline=mean")


def test_deep_shap_sums_to_the_difference_from_the_mean_score(pictures: Tensor) -> None:
    model = model_of(seeded(Wild))
    scores = [evaluate(model, logit(2), baseline_image(model, pictures, name)) for name in BASELINES]
    maps = explain(model, pictures, logit(2), "deep-shap")
    expected = evaluate(model, logit(2), pictures) - torch.stack(scores).mean(0)
    torch.testing.assert_close(maps.sum((1, 2)), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
def test_deeplift_and_deep_shap_are_captums_where_captum_has_them(pictures: Tensor) -> None:
    attr = pytest.importorskip("captum.attr")
    net, black = seeded(Plain), torch.zeros(3, 3, 16, 16)
    model = load_model(net, normalize="none", input_size=16, device="cpu")
    theirs = attr.DeepLift(net).attribute(pictures.clone().requires_grad_(), black, target=2).sum(1).detach()
    torch.testing.assert_close(
        explain(model, pictures, logit(2), "deeplift"), theirs, rtol=1e-3, atol=1e-6 + 1e-4 * float(theirs.abs().max())
    )
    one = pictures[:1]
    references = torch.cat([baseline_image(model, one, name) for name in BASELINES])
    theirs = attr.DeepLiftShap(net).attribute(one.clone().requires_grad_(), references, target=2).sum(1).detach()
    ours = explain(model, one, logit(2), "deep-shap")
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6 + 1e-4 * float(theirs.abs().max()))


def test_a_maximum_behind_a_relu_by_hand(pictures: Tensor) -> None:
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(196, 2)))
    model, black = load_model(net, normalize="none", input_size=16, device="cpu"), torch.zeros_like(pictures)
    with torch.no_grad():
        (z, z0), convolution = (net[0](each) for each in (pictures, black)), net[0]
        (y, at), (y0, at0) = (F.max_pool2d(each.relu(), 2, return_indices=True) for each in (z, z0))
        given = net[4].weight[1].view(1, 4, 7, 7) * (y - y0)
        parts = torch.zeros(3, 4, 196).scatter_add(2, torch.where(y > y0, at, at0).flatten(2), given.flatten(2))
        multiplier = parts.view_as(z) / (z - z0)  # of the convolution's output: contribution over difference
        expected = (pictures * F.conv_transpose2d(multiplier, convolution.weight)).sum(1)
    found = explain(model, pictures, logit(1), "deeplift")
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_where_the_picture_is_its_reference_nothing_differs(pictures: Tensor) -> None:
    white = torch.ones_like(pictures)
    assert not explain(model_of(seeded(Wild)), white, logit(1), "deeplift:baseline=white").any()


# ---- Layer-wise relevance propagation ----


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


# ---- Excitation backpropagation ----


class Excited(nn.Module):
    """Activations and weights such that every unit has an excitatory input, so that no probability is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.skip, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x)
        return self.head((x + F.relu(self.skip(x))).mean((2, 3)))


@pytest.mark.parametrize("layer", ["layers.0", "layers.1", "layers.3", "layers.4"])
def test_a_walk_is_somewhere(layer: str, pictures: Tensor) -> None:
    model = model_of(seeded(Excited))
    for target in (logit([4, 0, 2]), channel("skip", 2), logit(1) + 2 * logit(2)):
        maps = explain(model, pictures, target, "excitation-backprop", layer=layer)
        small = F.adaptive_avg_pool2d(maps[:, None], 16 if layer < "layers.4" else 8)
        total = small.sum((1, 2, 3))
        assert maps.min() >= 0
        assert (total <= 1 + 1e-4).all()
        if layer != "layers.0":
            torch.testing.assert_close(total, torch.ones(3), rtol=2e-2, atol=2e-2)


def test_the_probabilities_of_a_step_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    model = load_model(seeded(lambda: net), normalize="none", input_size=2, device="cpu")
    image = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    a = net[:3](image).detach()
    winning = a * net[3].weight[1].clamp_min(0).detach()
    losing = a * (-net[3].weight[1]).clamp_min(0).detach()
    winning, losing = winning / winning.sum(), losing / losing.sum()
    for contrastive, expected in ((False, winning), (True, winning - losing)):
        found = explain(
            model, image, logit(1), f"excitation-backprop:contrastive={str(contrastive).lower()}", layer="1"
        )
        torch.testing.assert_close(found[0], expected.view(4, 2, 2).sum(0).relu(), rtol=1e-3, atol=1e-5)


# ---- Memory ----


@pytest.mark.parametrize(
    "method", ["lrp", "lrp:rule=epsilon", "excitation-backprop:contrastive=true", "deeplift", "deep-shap"]
)
def test_nothing_stays_in_memory(method: str, tiny: Model, pictures: Tensor) -> None:
    """A reference cycle between a rule and the graph's nodes would never be freed."""

    def left() -> int:
        explain(tiny, pictures, logit(1), method, layer="stem" if "excitation" in method else None)
        gc.collect()
        return sum(issubclass(type(each), Tensor) for each in gc.get_objects())

    assert left() == left()


# ---- Localization in photographs ----


def outline(name: str) -> Tensor:
    """The box around the object, as a mask (224, 224)."""
    box = {"wood_rabbit": (20, 40, 195, 190), "container_ship": (60, 0, 160, 224), "goldfish": (40, 0, 175, 210)}[name]
    inside = torch.zeros(224, 224, dtype=torch.bool)
    inside[box[0] : box[2], box[1] : box[3]] = True
    return inside


@pytest.mark.parametrize("name", ["goldfish", "wood_rabbit", "container_ship"])
@pytest.mark.parametrize(
    ("method", "network"),
    [
        ("lrp", "squeezenet"),
        ("lrp", "mobilenet"),
        ("deeplift:baseline=blur", "squeezenet"),
        ("excitation-backprop", "mobilenet"),
        ("excitation-backprop:contrastive=true", "mobilenet"),
    ],
)
def test_the_thing_lights_up(
    method: str, network: str, name: str, photo: Callable[[str], Tensor], request: pytest.FixtureRequest
) -> None:
    model: Model = request.getfixturevalue(network)
    picture = photo(name)
    (heat,) = explain(model, picture, f"logit:{name.replace('_', ' ')}", method)
    there = outline(name)
    heat = heat.abs()
    assert heat[there].sum() / heat.sum() > 1.15 * there.float().mean()


@pytest.mark.parametrize("method", ["lrp", "deeplift", "excitation-backprop"])
def test_other_weights_make_another_map(
    method: str, squeezenet: Model, squeezenet_weights: Path, photo: Callable[[str], Tensor]
) -> None:
    other = load_model("torchvision:squeezenet1_0", weights=squeezenet_weights, device="cpu")
    for part in other.module.modules():
        if isinstance(part, nn.Conv2d):
            noise = torch.randn(part.weight.shape, generator=torch.Generator().manual_seed(0))
            part.weight.data = noise * part.weight.std()
    picture = photo("goldfish")
    target, layer = channel("features.12", 7), "features.10" if method == "excitation-backprop" else None
    one, two = (explain(model, picture, target, method, layer=layer).flatten() for model in (squeezenet, other))
    assert abs(float(torch.corrcoef(torch.stack([one, two]))[0, 1])) < 0.5
