"""Code matching: distances by hand, their invariances, and invalid targets."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from inverter import Settings, encode, load_model, optimize
from objectives import DISTANCES, Activations, code
from priors import Pixels

HAND = {
    "l2": [-(0.0**2 + 2.0**2) / 25, -25 / 25],
    "l1": [-2 / 7, -1.0],
    "cosine": [-(1 - (9 + 8) / (5 * math.sqrt(13))), -1.0],
}


@pytest.fixture
def maps() -> Tensor:
    return torch.randn(3, 4, 5, 7, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_distance_is_what_its_formula_says(distance: str) -> None:
    activations = Activations({"a": torch.tensor([[3.0, 2.0], [0.0, 0.0]])})
    assert code("a", torch.tensor([[3.0, 4.0]]), distance).score(activations).tolist() == pytest.approx(HAND[distance])


@pytest.mark.parametrize("distance", DISTANCES)
def test_its_own_code_scores_best(distance: str, maps: Tensor) -> None:
    own = code("a", maps, distance).score(Activations({"a": maps}))
    other = code("a", maps, distance).score(Activations({"a": maps + 0.1 * torch.randn_like(maps)}))
    assert own.tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    assert bool((other < own).all())


@given(st.floats(0.01, 100), st.sampled_from(sorted(DISTANCES)))
def test_the_scale_of_a_layer_does_not_matter(scale: float, distance: str) -> None:
    generator = torch.Generator().manual_seed(3)
    activation, target = torch.randn(2, 2, 3, 4, 4, generator=generator)
    score = code("a", target, distance).score(Activations({"a": activation}))
    scaled = code("a", scale * target, distance).score(Activations({"a": scale * activation}))
    assert scaled.tolist() == pytest.approx(score.tolist(), rel=1e-4)


def test_each_image_has_its_own_code_and_rows_choose_among_them(maps: Tensor) -> None:
    objective = code("a", maps)
    assert objective.count == 3
    rows = torch.tensor([2, 0])
    assert objective.score(Activations({"a": maps[rows]}, rows=rows)).tolist() == [0.0, 0.0]
    assert bool((objective.score(Activations({"a": maps.flip(0)})) < 0)[[0, 2]].all())


def test_one_code_serves_every_image(maps: Tensor) -> None:
    score = code("a", maps[:1]).score(Activations({"a": maps}))
    assert score[0] == 0
    assert bool((score[1:] < -0.1).all())


def test_several_layers_by_algebra(maps: Tensor) -> None:
    target = torch.ones(3, 2)
    both = code("a", maps) + 0.5 * code("b", target)
    assert both.reads == ("a", "b")
    assert both.score(Activations({"a": maps, "b": torch.zeros(3, 2)})).tolist() == pytest.approx([-0.5] * 3)


def test_a_label_is_the_layer_and_the_codes_name(maps: Tensor) -> None:
    assert code("a", maps).labels == ("code(a:0)", "code(a:1)", "code(a:2)")
    assert code("b", maps[:2], names=["cat", "dog"]).labels == ("code(b:cat)", "code(b:dog)")
    with pytest.raises(ValueError, match="1 name for 3 targets"):
        code("a", maps, names=["cat"])


def test_the_target_is_neither_changed_nor_part_of_the_graph(maps: Tensor) -> None:
    target = maps.clone().requires_grad_()
    activation = torch.randn_like(maps).requires_grad_()
    code("a", target).score(Activations({"a": activation})).sum().backward()
    assert target.grad is None
    assert activation.grad is not None
    assert torch.equal(target, maps)


def test_a_half_precision_activation_is_measured_in_float32(maps: Tensor) -> None:
    score = code("a", 300 * maps).score(Activations({"a": (290 * maps).half()}))
    assert score.dtype == torch.float32
    assert score.tolist() == pytest.approx([-((10 / 300) ** 2)] * 3, rel=0.05)


@pytest.mark.parametrize(
    ("target", "distance", "says"),
    [
        (torch.ones(1, 2), "l3", "unknown distance 'l3'; expected one of l2, cosine, l1"),
        (torch.ones(2), "l2", r"one code for each image, got shape \(2,\)"),
        (torch.ones(0, 2), "l2", r"got shape \(0, 2\)"),
        (torch.tensor([[1.0, float("nan")]]), "l2", "target 0 for layer 'a' is not finite"),
        (torch.tensor([[1.0, 0.0], [0.0, 0.0]]), "l2", "target 1 for layer 'a' is all zero"),
    ],
)
def test_an_invalid_target_is_refused(target: Tensor, distance: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        code("a", target, distance)


def test_a_target_of_another_shape_or_number_is_reported(maps: Tensor) -> None:
    with pytest.raises(ValueError, match=r"has shape \(4, 5, 6\), but layer 'a' outputs \(4, 5, 7\)"):
        code("a", maps[..., :6]).score(Activations({"a": maps}))
    with pytest.raises(ValueError, match="2 targets for a batch of 3 images"):
        code("a", maps[:2]).score(Activations({"a": maps}))


def test_ascent_inverts_a_code_that_keeps_all_information() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(3)[:, :, None, None])
        net[0].bias.zero_()
    model = load_model(net, normalize="none", input_size=8)
    picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    target = encode(model, picture, "0")["0"]
    result = optimize(model, code("0", target), Pixels(2, 8), Settings(steps=200, learning_rate=0.05), "none")
    assert (result.images - picture).abs().max() < 0.02
    assert result.scores.tolist() == pytest.approx([0, 0], abs=1e-3)
