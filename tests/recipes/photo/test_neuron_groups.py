"""Factor groups: that they sum to the activations, and what they refuse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.photo.neuron_groups import colours, factorise


def test_activations_of_two_groups_come_apart() -> None:
    one, two = torch.tensor([3.0, 4.0, 0.0]), torch.tensor([0.0, 0.0, 2.0])
    where = torch.tensor([[[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]])
    found = factorise(torch.einsum("kyx,kc->cyx", where, torch.stack([one, two])), 2)
    assert torch.allclose(found.directions, torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]), atol=1e-2)
    assert torch.allclose(found.maps, torch.tensor([[[5.0, 5.0, 0.0]], [[0.0, 0.0, 2.0]]]), atol=5e-2)
    assert found.error < 1e-2


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_groups_sum_to_the_activations_within_their_error(seed: int, groups: int) -> None:
    activations = torch.rand(6, 3, 4, generator=torch.Generator().manual_seed(seed))
    found = factorise(activations, groups)
    rest = activations - torch.einsum("kyx,kc->cyx", found.maps, found.directions)
    assert float(rest.norm() / activations.norm()) == pytest.approx(found.error, abs=1e-4)
    assert found.error < 0.6
    assert bool((found.maps >= 0).all())
    assert bool((found.directions >= 0).all())
    sums = found.maps.sum((1, 2)).tolist()
    assert sums == sorted(sums, reverse=True)


def test_more_groups_than_channels_or_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="there are 2 channels and 9 positions; expected at most 2"):
        factorise(torch.ones(2, 3, 3), 3)
    with pytest.raises(ValueError, match="expected at most 4"):
        factorise(torch.ones(9, 2, 2), 5)
    with pytest.raises(ValueError, match="no activation of this layer is above 0"):
        factorise(-torch.ones(3, 2, 2), 1)


@given(st.integers(1, 24))
def test_colours_differ(count: int) -> None:
    assert len(set(colours(count))) == count
