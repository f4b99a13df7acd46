"""Facets: a unit weighed by what else a lower layer sees. Caricatures: a code, exaggerated."""

import pytest
import torch

from inverter_errors import BadInput
from objectives import Activations, caricature, channel, facet

UNIT = torch.tensor([[2.0], [2.0], [2.0]])
CODES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def test_a_facet_weighs_the_unit_by_the_angle_from_the_mean() -> None:
    seen = Activations({"unit": UNIT, "low": CODES + 5})
    scores = facet(channel("unit", 0), "low", [0.0, 3.0], mean=[5.0, 5.0], power=2).score(seen)
    torch.testing.assert_close(scores, torch.tensor([0.5, 2.0, 1.4571068]))
    each = facet(channel("unit", 0), "low", torch.eye(2)[[0, 0, 1]], mean=[5.0, 5.0], power=1)
    torch.testing.assert_close(each.score(seen), torch.tensor([2.0, 1.0, 1 + 0.5**0.5]))
    assert each.count == 3 and len(set(each.labels)) == 3 and each.reads == ("unit", "low")


def test_a_facet_draws_the_code_of_the_lower_layer_towards_its_direction() -> None:
    low = CODES[2:].clone().requires_grad_()
    facet(channel("unit", 0), "low", [0.0, 1.0]).score(Activations({"unit": UNIT[2:], "low": low})).sum().backward()
    assert low.grad[0, 1] > 0 > low.grad[0, 0]


@pytest.mark.parametrize(
    ("vector", "more", "text"),
    [
        ([0.0, 0.0], {}, "not all zero"),
        ([1.0, float("nan")], {}, "finite"),
        ([1.0, 0.0], {"power": 0}, "power must be > 0"),
        ([1.0, 0.0], {"mean": [1.0]}, r"expected a mean \(2,\)"),
    ],
)
def test_bad_facets_are_refused(vector, more, text) -> None:
    with pytest.raises(BadInput, match=text):
        facet(channel("unit", 0), "low", vector, **more)


def test_a_facet_of_another_layers_width_is_refused() -> None:
    with pytest.raises(BadInput, match="facet has 3 numbers, but layer 'low' has 2 channels"):
        facet(channel("unit", 0), "low", [1.0, 2.0, 3.0]).score(Activations({"unit": UNIT, "low": CODES}))


def test_a_caricature_grows_with_the_code_and_falls_with_the_angle() -> None:
    target, seen = torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 4.0], [6.0, 8.0], [4.0, -3.0], [10.0, 0.0]])
    scores = caricature("conv", target, power=2).score(Activations({"conv": seen}))
    torch.testing.assert_close(scores, torch.tensor([1.0, 2.0, 0.0, 30 / 25 * 0.36]))
    with pytest.raises(BadInput, match="power must be >= 0"):
        caricature("conv", target, power=-1)
    with pytest.raises(BadInput, match="caricature: target 0 for layer 'conv' is all zero"):
        caricature("conv", target * 0)
