"""DeepLIFT and Deep SHAP: sums, references by hand, and those of Captum."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import evaluate, load_model
from objectives import channel, logit, softmax
from recipes.attribution import explain
from recipes.attribution.scoring.baselines import BASELINES, Baseline, baseline_image
from tests.propagated_networks import ON_MAPS, ON_TOKENS, Middle, Plain, Wild, model_of, seeded


@pytest.mark.parametrize("make", [Plain, Wild])
@pytest.mark.parametrize("baseline", BASELINES)
def test_deeplift_is_complete(make: Callable[[], nn.Module], baseline: Baseline, pictures: Tensor) -> None:
    model = model_of(seeded(make))
    reference = baseline_image(model, pictures, baseline)
    for target in (logit([4, 0, 2]), softmax([1, 1, 3]), channel("second", 3) * channel("second", 1)):
        maps = explain(model, pictures, target, f"deeplift:baseline={baseline}")
        difference = evaluate(model, target, pictures) - evaluate(model, target, reference)
        torch.testing.assert_close(maps.sum((1, 2)), difference, rtol=1e-3, atol=1e-5)


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
