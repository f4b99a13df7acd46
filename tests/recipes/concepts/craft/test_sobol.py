"""Total Sobol indices: known ones, those of the authors' code, and scores that never change."""

import numpy as np
import pytest

from recipes.concepts.craft.sobol import masks, total_indices


def test_they_are_the_shares_of_a_sum() -> None:
    design, weights = masks(4, 512), np.array([3.0, 1.0, 0.0, 2.0])
    np.testing.assert_allclose(total_indices(design @ weights, 4), weights**2 / (weights**2).sum(), atol=0.05)


def test_a_factor_counts_for_what_it_does_together_with_others() -> None:
    design = masks(3, 1024)
    # The product of two uniform factors: variance 7/144, of which each explains 1/48 alone and 1/144 with the other.
    np.testing.assert_allclose(total_indices(design[:, 0] * design[:, 1], 3), [4 / 7, 4 / 7, 0], atol=0.03)


def test_they_are_those_of_the_authors_code() -> None:
    """By craft-xai 0.0.3: `HaltonSequence()(3, nb_design=8)` and `JansenEstimator()(masks, scores, 8)`."""
    design = masks(3, 8)
    assert design.shape == (40, 3)
    np.testing.assert_allclose(design[[1, 20]], [[0.5, 1 / 3, 0.2], [4 / 7, 4 / 9, 0.8]], atol=1e-6)
    scores = design[:, 0] * design[:, 1] + 2 * design[:, 2] ** 2
    np.testing.assert_allclose(total_indices(scores, 3), [0.0991144, 0.0349237, 0.6219464], atol=1e-5)


def test_a_constant_score_depends_on_no_factor() -> None:
    assert total_indices(np.full(20, 3.0), 3).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("factors", [2, 7])
def test_only_one_factor_of_a_replicate_is_another(factors: int) -> None:
    parts = masks(factors, 4).reshape(factors + 2, 4, factors)
    for factor in range(factors):
        changed = parts[0] != parts[2 + factor]
        assert not np.delete(changed, factor, axis=1).any()
        np.testing.assert_array_equal(parts[2 + factor][:, factor], parts[1][:, factor])
