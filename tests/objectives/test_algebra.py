"""Objectives form a vector space whose elements keep track of their layers and their targets."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from objectives import Activations, Objective, channel, diversity, layer, logit, neuron

numbers = st.floats(-50, 50, allow_nan=False).map(lambda value: round(value, 3))


def value(index: int) -> Objective:
    """The `index`-th number of layer "n"."""
    return channel("n", index)


def activations(*values: float) -> Activations:
    return Activations({"n": torch.tensor([values], dtype=torch.float32)})


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-3)


@given(numbers, numbers, numbers)
def test_sums_and_products_commute_and_distribute(x: float, y: float, z: float) -> None:
    a, b, c, at = value(0), value(1), value(2), activations(x, y, z)
    assert torch.equal((a + b).score(at), (b + a).score(at))
    assert torch.equal((a * b).score(at), (b * a).score(at))
    assert close(((a + b) + c).score(at), (a + (b + c)).score(at))
    assert close((a * (b + c)).score(at), (a * b + a * c).score(at))


@given(numbers, numbers, numbers)
def test_scalars_act_as_on_numbers(x: float, y: float, k: float) -> None:
    a, b, at = value(0), value(1), activations(x, y)
    assert close((k * a).score(at), torch.tensor([k * x]))
    assert torch.equal((k * a).score(at), (a * k).score(at))
    assert close((k * (a - b)).score(at), torch.tensor([k * (x - y)]))
    assert close((a + k).score(at), torch.tensor([x + k]))
    assert close((k + a).score(at), torch.tensor([x + k]))
    assert close((k - a).score(at), torch.tensor([k - x]))
    assert close((a - k).score(at), torch.tensor([x - k]))
    assert close((-a).score(at), torch.tensor([-x]))
    if abs(k) > 0.01:
        assert close((a / k).score(at), torch.tensor([x / k]))


@given(numbers)
def test_an_objective_minus_itself_is_zero_and_negation_is_an_involution(x: float) -> None:
    a, at = value(0), activations(x)
    negative = -a
    assert (a - a).score(at).item() == 0
    assert torch.equal((-negative).score(at), a.score(at))


def test_a_combination_reads_each_layer_once_in_order() -> None:
    combined = 0.5 * channel("b", 3) + neuron("a", 5) - 0.1 * layer("b") + logit(1)
    assert combined.reads == ("b", "a", "")


def test_labels_name_both_sides_of_each_unit() -> None:
    combined = channel("a", [1, 2]) + layer("b")
    assert combined.count == 2
    assert [combined.label(i) for i in range(2)] == ["(channel(a:1) + layer(b))", "(channel(a:2) + layer(b))"]
    assert (-2 * channel("a", [1, 2])).labels == ("-2*channel(a:1)", "-2*channel(a:2)")


def test_different_combinations_of_the_same_units_have_different_labels() -> None:
    a, b = channel("a", 1), channel("b", 2)
    labels = [f.label(0) for f in (a + b, a - b, a * b, b + a, 2 * a, 3 * a, a + 2.0, -a, a)]
    assert len(set(labels)) == len(labels)


def test_a_single_target_serves_many_and_unequal_numbers_are_refused() -> None:
    assert (channel("a", [1, 2, 3]) + channel("b", 0)).count == 3
    with pytest.raises(ValueError, match=r"3 targets.* of 2"):
        channel("a", [1, 2, 3]) + channel("b", [0, 1])


def test_a_combination_with_a_coupled_objective_is_coupled() -> None:
    plain = channel("a", 1)
    assert not (plain + layer("a")).coupled
    assert (plain + 2 * diversity("a")).coupled
    assert (diversity("a") * plain).coupled


@pytest.mark.parametrize("other", ["text", None, [1]])
def test_only_numbers_and_objectives_combine(other: object) -> None:
    with pytest.raises(TypeError):
        channel("a", 1) + other  # type: ignore[operator]
    with pytest.raises(TypeError):
        channel("a", 1) * other  # type: ignore[operator]


def test_an_objective_is_a_frozen_value() -> None:
    with pytest.raises(AttributeError):
        channel("a", 1).name = "other"  # type: ignore[misc]


def test_the_gradient_of_a_combination_is_the_combination_of_gradients() -> None:
    at = torch.tensor([[2.0, 5.0, 7.0]], requires_grad=True)
    f = 0.5 * value(0) + value(1) * value(2) - 3 * value(2)
    f.score(Activations({"n": at})).sum().backward()
    assert at.grad is not None
    assert at.grad.tolist() == [[0.5, 7.0, 5.0 - 3.0]]
