"""Concept activation vectors: the direction that was planted, honest accuracies, and bad sets."""

import numpy as np
import pytest

from inverter_errors import BadInput
from recipes.concepts.choices import SEPARATORS, Separator
from recipes.concepts.separation import mean_cut, separate

DRAW = np.random.default_rng(0)
PLANTED = np.array([3.0, 0.0, -4.0, 0.0]) / 5
CONCEPT = DRAW.normal(0, 0.3, (60, 4)) + 2 * PLANTED + 1
OTHERS = DRAW.normal(0, 0.3, (60, 4)) + 1


@pytest.mark.parametrize("how", SEPARATORS)
def test_the_planted_direction_is_found(how: Separator) -> None:
    cut = mean_cut([separate(CONCEPT, OTHERS, how, seed) for seed in range(5)])
    assert cut.vector @ PLANTED > 0.97
    assert np.linalg.norm(cut.vector) == pytest.approx(1)
    assert cut.accuracy > 0.97
    assert (CONCEPT @ cut.vector + cut.bias > 0).mean() > 0.95
    assert (OTHERS @ cut.vector + cut.bias < 0).mean() > 0.95


@pytest.mark.parametrize("how", SEPARATORS)
def test_what_cannot_be_told_apart_has_the_accuracy_of_guessing(how: Separator) -> None:
    draw = np.random.default_rng(1)
    found = [separate(draw.normal(size=(40, 20)), draw.normal(size=(40, 20)), how, seed).accuracy for seed in range(12)]
    assert abs(np.mean(found) - 0.5) < 0.1  # a fit on all pictures would be right on all of them


def test_the_scale_of_a_layer_does_not_matter_to_logistic_regression() -> None:
    one, other = separate(CONCEPT, OTHERS), separate(1000 * CONCEPT, 1000 * OTHERS)
    np.testing.assert_allclose(
        one.vector / np.linalg.norm(one.vector), other.vector / np.linalg.norm(other.vector), atol=1e-4
    )
    assert one.bias == pytest.approx(other.bias, rel=1e-3)


def test_too_few_or_equal_pictures_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pictures on each side, got 3"):
        separate(CONCEPT[:3], OTHERS)
    with pytest.raises(BadInput, match="no vector separates them"):
        mean_cut([separate(np.ones((9, 2)), np.ones((9, 2)), "difference")])
