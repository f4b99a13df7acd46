"""Gradient methods: axioms, definitions, and localization in photographs."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, evaluate, load_model, no_network
from objectives import Objective, channel, logit, neuron
from recipes.attribution import explain
from recipes.attribution.methods.guided_backprop import deconvolved, guided_gradient, strongest_alone
from recipes.attribution.scoring.baselines import BASELINES, Baseline, baseline_image
from recipes.attribution.scoring.layers import layer_gradient

SQUARES = Objective("squares", (), lambda seen: seen.image.square().sum((1, 2, 3)))


def linear(weights: Tensor) -> Objective:
    return Objective("linear", (), lambda seen: (seen.image * weights).sum((1, 2, 3)) + 2)


def test_saliency_is_the_largest_derivative_over_the_channels(tiny: Model, pictures: Tensor) -> None:
    weights = torch.randn(3, 16, 16)
    maps = explain(tiny, pictures, linear(weights), "saliency")
    torch.testing.assert_close(maps, weights.abs().amax(0).expand(3, -1, -1))


def test_saliency_over_ten_crops_knows_no_left_and_right(tiny: Model, pictures: Tensor) -> None:
    maps = explain(tiny, pictures, logit(1), "saliency:crops=true")
    mirrored = explain(tiny, pictures.flip(3), logit(1), "saliency:crops=true")
    torch.testing.assert_close(maps, mirrored.flip(2), rtol=1e-4, atol=1e-6)
    plain = explain(tiny, pictures, logit(1), "saliency")
    assert not torch.allclose(plain, explain(tiny, pictures.flip(3), logit(1), "saliency").flip(2), rtol=1e-2)


@pytest.mark.parametrize("baseline", BASELINES)
def test_integrated_gradients_are_complete(baseline: Baseline, tiny: Model, pictures: Tensor) -> None:
    for target in (logit([4, 0, 2]), channel("mix", 3)):
        maps = explain(tiny, pictures, target, f"integrated-gradients:steps=200,baseline={baseline}")
        reference = baseline_image(tiny, pictures, baseline)
        difference = evaluate(tiny, target, pictures) - evaluate(tiny, target, reference)
        torch.testing.assert_close(maps.sum((1, 2)), difference, rtol=0.02, atol=0.003)


@given(st.integers(0, 99), st.floats(-2, 2), st.floats(-2, 2))
def test_maps_of_a_sum_are_the_sum_of_the_maps(seed: int, a: float, b: float) -> None:
    images = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    first, second = SQUARES, linear(torch.ones(3, 6, 6))
    for method in ("gradient-x-input:baseline=black", "integrated-gradients:steps=4"):
        maps = [
            explain(no_network("cpu"), images, target, method) for target in (first, second, a * first + b * second)
        ]
        torch.testing.assert_close(maps[2], a * maps[0] + b * maps[1], rtol=1e-4, atol=1e-4)


def test_what_a_linear_score_says_of_each_pixel_is_exact(tiny: Model, pictures: Tensor) -> None:
    weights = torch.randn(3, 16, 16)
    exact = ((pictures - 1) * weights).sum(1)
    for method in ("gradient-x-input:baseline=white", "integrated-gradients:baseline=white,steps=3"):
        torch.testing.assert_close(explain(tiny, pictures, linear(weights), method), exact, rtol=1e-4, atol=1e-5)


def test_noise_changes_nothing_where_the_score_is_linear_and_varies_where_it_is_not(tiny: Model) -> None:
    images = torch.rand(1, 3, 16, 16)
    weights = torch.randn(3, 16, 16)
    steepest = weights.abs().amax(0)[None]
    torch.testing.assert_close(explain(tiny, images, linear(weights), "smoothgrad:samples=4"), steepest)
    squared = explain(tiny, images, linear(weights), "smoothgrad-squared:samples=4")
    torch.testing.assert_close(squared, steepest.square(), rtol=1e-4, atol=1e-5)
    assert explain(tiny, images, linear(weights), "vargrad:samples=4").max() < 1e-4
    # d(x^2)/dx = 2 x: its variance is 4 sigma^2, here of the largest of three colours.
    range_ = float(images.max() - images.min())
    curved = explain(tiny, images, SQUARES, "vargrad:samples=400,noise=.1")
    assert 4 * (0.1 * range_) ** 2 == pytest.approx(float(curved.mean()), rel=0.12)


@pytest.mark.parametrize("method", ["smoothgrad:samples=0", "vargrad:noise=-1", "smooth-grad-cam++:samples=0"])
def test_no_samples_and_negative_noise_are_refused(method: str, tiny: Model, pictures: Tensor) -> None:
    with pytest.raises(ValueError, match="samples of at least 1"):
        explain(tiny, pictures, logit(0), method)


def test_an_unknown_baseline_is_reported(tiny: Model, pictures: Tensor) -> None:
    with pytest.raises(ValueError, match="unknown baseline 'back'; did you mean black"):
        explain(tiny, pictures, logit(0), "integrated-gradients:baseline=back")


class Functional(nn.Module):
    """Two convolutions with a ReLU between them, which may be written in several ways."""

    def __init__(self, relu: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.max_pool2d(self.relu(self.first(x)), 2))


RELUS: list[Callable[[Tensor], Tensor]] = [
    F.relu,
    torch.relu,
    torch.relu_,
    Tensor.relu,
    lambda x: F.relu(x, inplace=True),
    nn.ReLU(),
    nn.ReLU(inplace=True),
]


@pytest.mark.parametrize("guided", [True, False])
def test_however_a_relu_is_written_it_is_rectified_on_the_way_back(guided: bool) -> None:
    images = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    target = neuron("second", 1, 2, 2)
    found = []
    for relu in RELUS:
        model = load_model(Functional(relu), input_size=12, normalize="none", device="cpu")
        found.append(guided_gradient(model, images, target) if guided else deconvolved(model, images, target, "second"))
    for each in found[1:]:
        torch.testing.assert_close(each, found[0])
    by_hand = by_the_paper(load_model(Functional(F.relu), normalize="none", device="cpu").module, images, guided)
    torch.testing.assert_close(found[0], by_hand, rtol=1e-4, atol=1e-6)


def by_the_paper(net: nn.Module, images: Tensor, guided: bool) -> Tensor:
    """Transposed filters, unpooling by switches and a ReLU on the way back, written out (Zeiler & Fergus 2014)."""
    before = F.conv2d(images, net.first.weight, net.first.bias)
    pooled, switches = F.max_pool2d(before.relu(), 2, return_indices=True)
    top = net.second(pooled)
    kept = torch.zeros_like(top)
    kept[:, 1, 2, 2] = 1 if guided else top[:, 1, 2, 2].abs()
    back = F.conv_transpose2d(kept, net.second.weight)
    back = F.max_unpool2d(back, switches, 2, output_size=before.shape).relu()
    if guided:
        back = back * (before > 0)
    return F.conv_transpose2d(back, net.first.weight).detach()


def test_of_all_activations_only_the_strongest_goes_back(tiny: Model, pictures: Tensor) -> None:
    maps, gradient = layer_gradient(tiny, pictures, channel("relu#1", 2), "relu#1")
    kept = strongest_alone(maps, gradient)
    assert (kept.flatten(1) != 0).sum(1).tolist() == [1, 1, 1]
    assert torch.equal(kept.flatten(1).amax(1), maps[:, 2].flatten(1).amax(1))


def test_a_guided_map_outlines_the_animal(mobilenet: Model, photo: Callable[[str], Tensor]) -> None:
    picture = photo("goldfish")
    heat = explain(mobilenet, picture, "logit:goldfish", "guided-backprop")[0]
    fish = picture[0, 0] - picture[0, 2] > 0.2  # gold on green
    assert fish.float().mean() < 0.5
    assert heat[fish].mean() > 2 * heat[~fish].mean()


def test_a_missing_library_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tiny: Model, pictures: Tensor
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs captum: pip install 'inverter-vis\[attribution\]'"):
        explain(tiny, pictures, logit(0), "integrated-gradients")
