"""The value of each objective against the same sum written out by hand."""

import math

import pytest
import torch
from torch import Tensor

from objectives import OUTPUT, Activations, channel, direction, diverse, diversity, layer, logit, neuron, softmax


@pytest.fixture
def maps() -> Tensor:
    return torch.randn(3, 4, 5, 7, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def vectors() -> Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(2))


def test_channel_is_the_mean_of_each_images_own_channel(maps: Tensor, vectors: Tensor) -> None:
    score = channel("a", [3, 0, 3]).score(Activations({"a": maps}))
    assert score.tolist() == pytest.approx([maps[i, c].mean().item() for i, c in enumerate([3, 0, 3])])
    assert channel("a", [3, 0, 1]).score(Activations({"a": vectors})).tolist() == [
        vectors[0, 3].item(),
        vectors[1, 0].item(),
        vectors[2, 1].item(),
    ]


def test_one_channel_serves_every_image(maps: Tensor) -> None:
    assert torch.allclose(channel("a", 2).score(Activations({"a": maps})), maps[:, 2].mean((1, 2)))


def test_neuron_is_one_position_of_rows_and_columns_that_differ(maps: Tensor) -> None:
    score = neuron("a", [1, 2, 3], y=[0, 4, 2], x=[6, 0, 5]).score(Activations({"a": maps}))
    assert score.tolist() == [maps[0, 1, 0, 6].item(), maps[1, 2, 4, 0].item(), maps[2, 3, 2, 5].item()]


def test_neuron_is_in_the_centre_of_what_is_not_given(maps: Tensor, vectors: Tensor) -> None:
    activations = Activations({"a": maps})
    assert torch.equal(neuron("a", 1).score(activations), maps[:, 1, 2, 3])
    assert torch.equal(neuron("a", 1, y=4).score(activations), maps[:, 1, 4, 3])
    assert torch.equal(neuron("a", 1, x=[0, 1, 2]).score(activations), maps[:, 1, 2, :3].diagonal())
    assert torch.equal(neuron("a", 1).score(Activations({"a": vectors})), vectors[:, 1])


def test_layer_is_the_mean_square_of_anything(maps: Tensor, vectors: Tensor) -> None:
    assert torch.allclose(layer("a").score(Activations({"a": maps})), maps.pow(2).mean((1, 2, 3)))
    assert torch.allclose(layer("a").score(Activations({"a": vectors})), vectors.pow(2).mean(1))
    tokens = torch.full((2, 5, 6), -3.0)
    assert layer("a").score(Activations({"a": tokens})).tolist() == [9, 9]


def test_direction_is_a_dot_product_per_position(maps: Tensor) -> None:
    expected = torch.tensor([[1.0, -2.0, 0.5, 3.0], [0.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    by_hand = torch.stack([torch.tensordot(expected[i], maps[i], dims=1).mean() for i in range(3)])
    assert torch.allclose(direction("a", expected).score(Activations({"a": maps})), by_hand, atol=1e-5)
    here = torch.stack([expected[i] @ maps[i, :, 4, 6] for i in range(3)])
    assert torch.allclose(direction("a", expected, position=(4, 6)).score(Activations({"a": maps})), here, atol=1e-5)
    centre = torch.stack([expected[i] @ maps[i, :, 2, 3] for i in range(3)])
    assert torch.allclose(
        direction("a", expected, position="center").score(Activations({"a": maps})), centre, atol=1e-5
    )


def test_direction_of_one_axis_is_that_channel(maps: Tensor) -> None:
    axis = direction("a", [0.0, 0.0, 1.0, 0.0]).score(Activations({"a": maps}))
    assert torch.allclose(axis, channel("a", 2).score(Activations({"a": maps})), atol=1e-6)


def test_direction_with_power_multiplies_by_the_cosine_and_never_by_less_than_a_tenth() -> None:
    activations = Activations({"a": torch.tensor([[3.0, 4.0], [-3.0, -4.0], [0.0, 0.0]])})
    cosine = 3 / 5
    score = direction("a", [2.0, 0.0], power=2).score(activations)
    assert score.tolist() == pytest.approx([6 * cosine**2, -6 * 0.1**2, 0])


def test_direction_with_power_has_a_finite_gradient_at_zero() -> None:
    zero = torch.zeros(1, 2, requires_grad=True)
    direction("a", [1.0, 0.0], power=3).score(Activations({"a": zero})).sum().backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


def test_directions_do_not_follow_later_changes_of_the_vector(maps: Tensor) -> None:
    vector = torch.ones(4)
    objective = direction("a", vector)
    before = objective.score(Activations({"a": maps}))
    vector.zero_()
    assert torch.equal(objective.score(Activations({"a": maps})), before)


def test_logit_and_softmax_are_those_of_the_output(vectors: Tensor) -> None:
    activations = Activations({OUTPUT: vectors})
    assert logit([0, 3, 1]).score(activations).tolist() == [vectors[i, c].item() for i, c in enumerate([0, 3, 1])]
    by_hand = [vectors[i].exp()[c].item() / vectors[i].exp().sum().item() for i, c in enumerate([0, 3, 1])]
    assert softmax([0, 3, 1]).score(activations).exp().tolist() == pytest.approx(by_hand, rel=1e-5)


def test_softmax_has_a_gradient_where_the_probability_underflows() -> None:
    output = torch.tensor([[-200.0, 0.0]], requires_grad=True)
    score = softmax(0).score(Activations({OUTPUT: output}))
    assert score.item() == -200
    score.sum().backward()
    assert output.grad is not None
    assert output.grad[0].tolist() == pytest.approx([1.0, -1.0])


def test_an_output_of_maps_is_averaged_over_its_positions(maps: Tensor) -> None:
    averages = maps.mean((2, 3))
    assert torch.allclose(logit(1).score(Activations({OUTPUT: maps})), averages[:, 1])
    assert torch.allclose(softmax(1).score(Activations({OUTPUT: maps})), averages.log_softmax(1)[:, 1])


def test_diversity_is_minus_the_mean_cosine_of_gram_matrices_in_the_group(maps: Tensor) -> None:
    grams = [(m.flatten(1) @ m.flatten(1).T).flatten() for m in maps]

    def cosine(i: int, j: int) -> float:
        return torch.cosine_similarity(grams[i], grams[j], dim=0).item()

    full = diversity("a").score(Activations({"a": maps}))
    assert full.tolist() == pytest.approx(
        [-(cosine(i, (i + 1) % 3) + cosine(i, (i + 2) % 3)) / 2 for i in range(3)], rel=1e-4
    )
    grouped = diversity("a", groups=[4, 9, 4]).score(Activations({"a": maps}))
    assert grouped.tolist() == pytest.approx([-cosine(0, 2), 0, -cosine(0, 2)], rel=1e-4)


def test_groups_go_with_the_rows_of_the_batch(maps: Tensor) -> None:
    rows = torch.tensor([2, 0])
    part = diversity("a", groups=[1, 2, 1]).score(Activations({"a": maps[rows]}, rows=rows))
    full = diversity("a", groups=[1, 2, 1]).score(Activations({"a": maps}))
    assert torch.allclose(part, full[rows], atol=1e-6)
    with pytest.raises(ValueError, match="3 group numbers for a batch of 2"):
        diversity("a", groups=[1, 2, 1]).score(Activations({"a": maps[:2]}))


def test_diverse_makes_identical_images_worth_less_by_the_weight() -> None:
    same = torch.ones(2, 3, 4, 4)
    other = same.clone()
    other[1, :2] = 0
    objective = diverse(channel("a", [2, 2]), "a", groups=[2, 2], weight=0.25)
    assert objective.score(Activations({"a": same})).tolist() == pytest.approx([0.75, 0.75])
    cosine = 1 / math.sqrt(9)  # the Gram matrices are all ones, and one in a single place
    assert objective.score(Activations({"a": other})).tolist() == pytest.approx([1 - 0.25 * cosine] * 2)
    assert objective.coupled
    assert objective.count == 2
