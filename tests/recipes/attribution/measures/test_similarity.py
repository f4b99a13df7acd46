"""Two maps of one image: rank correlation as in scipy, and SSIM of the maps as drawn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from recipes.attribution.measures.similarity import rank_correlation, similarity


@given(st.integers(0, 2**31), st.sampled_from([2, 5, 1000]))
def test_ranks_are_correlated_as_scipy_does(seed: int, values: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randint(0, values, (2, 1, 4, 6), generator=generator).float()
    if len(a.unique()) < 2 or len(b.unique()) < 2:
        assert float(rank_correlation(a, b)) == 0.0
    else:
        assert float(rank_correlation(a, b)) == pytest.approx(spearmanr(a.flatten(), b.flatten()).statistic, abs=1e-6)


def test_order_alone_counts_and_each_picture_for_itself() -> None:
    a = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(0))
    found = rank_correlation(a, torch.stack([a[0].exp(), -a[1]]))
    assert found.tolist() == pytest.approx([1.0, -1.0])


def test_a_map_without_order_has_correlation_0() -> None:
    assert float(rank_correlation(torch.zeros(1, 3, 3), torch.rand(1, 3, 3))) == 0.0


@pytest.mark.parametrize("signed", [True, False])
def test_maps_are_compared_as_they_are_drawn(signed: bool) -> None:
    maps = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(1))
    assert similarity(maps, 7 * maps, signed).tolist() == pytest.approx([1.0, 1.0], abs=1e-4)
    assert (similarity(maps, -maps, signed) < 0.2).all()
    small = maps[:, :4, :4]  # smaller than the window
    assert similarity(small, small.flip(1), signed).isfinite().all()
