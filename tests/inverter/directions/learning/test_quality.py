"""The quality of a set of directions, against its definitions."""

import pytest
import torch

from inverter import Directions
from inverter.directions.learning.quality import quality, stability


def test_quality_is_what_its_definition_says() -> None:
    vectors = torch.tensor([[1.0, 0.0, 0.2], [0.0, 2.0, 0.0], [3.0, 0.0, -0.4], [0.0, -1.0, 0.0]])
    directions = Directions("conv", torch.cat([torch.eye(2, 3), torch.tensor([[0.0, 0, -0.001]])]), gate="topk", k=1)
    found = quality(directions, vectors.split(3))
    lost = 0.2**2 + 0.4**2 + 1
    assert found.explained_variance == pytest.approx(1 - lost / float((vectors - vectors.mean(0)).square().sum()))
    assert found.l0 == 3 / 4 and found.dead == pytest.approx(1 / 3)


def test_the_input_norm_is_undone_before_the_error_is_measured() -> None:
    vectors = torch.randn(30, 4) * 5 + 3
    directions = Directions("conv", torch.eye(4), input_norm="layer")
    assert quality(directions, [vectors]).explained_variance == pytest.approx(1, abs=1e-5)


def test_stability_does_not_depend_on_order_and_length() -> None:
    one = Directions("conv", torch.randn(5, 3))
    assert stability(one, Directions("conv", one.decoder.flip(0) * 3)) == pytest.approx(1, abs=1e-5)
    assert stability(Directions("conv", torch.eye(3)), Directions("conv", torch.ones(1, 3))) == pytest.approx(3**-0.5)
