"""RISE: closed forms on linear networks, the distribution of masks, and fits that need fewer of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from inverter import Model, load_model
from objectives import logit
from recipes.attribution import explain
from recipes.attribution.methods.rise import covariance, random_masks, ridge

SIDE, CELLS, KEEP = 16, 4, 0.3
OPTIONS = f"cells={CELLS},keep={KEEP},baseline=black"


@pytest.fixture
def linear() -> Model:
    """S(x) = w . x + 7, without normalisation."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 1))
    net[1].weight.data = torch.randn(1, 3 * SIDE * SIDE, generator=torch.Generator().manual_seed(1))
    net[1].bias.data = torch.tensor([7.0])
    return load_model(net, normalize=((0, 0, 0), (1, 1, 1)), input_size=SIDE, device="cpu")


@pytest.fixture
def expected(linear: Model, pictures: Tensor) -> Tensor:
    """E[S | m(p) = 1] - E[S] = sum over q of w_q x_q Cov(m_q, m_p) / E[m_p], whatever the constant: (3, H, W)."""
    lit = (linear.module[1].weight.data.view(3, SIDE, SIDE) * pictures).sum(1)
    factor = covariance(SIDE, CELLS)
    return (1 - KEEP) * torch.einsum("yi,bij,xj->byx", factor, lit, factor)


def correlations(a: Tensor, b: Tensor) -> list[float]:
    pairs = zip(a.flatten(1), b.flatten(1), strict=True)
    return [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs]


def test_the_covariance_of_masks_is_known(pictures: Tensor) -> None:
    masks = torch.cat(list(random_masks(pictures, 16384, CELLS, KEEP, 1, 512))).flatten(1)
    one = covariance(SIDE, CELLS)
    known = KEEP * (1 - KEEP) * torch.einsum("ab,cd->acbd", one, one).reshape(SIDE**2, SIDE**2)
    assert (torch.cov(masks.T) - known).abs().max() < 0.02
    assert known.max() > 0.15


@pytest.mark.parametrize(("method", "least"), [("masks=2048,fit=false", 0.98), ("masks=256", 0.98)])
def test_a_linear_score_has_its_closed_form(
    method: str, least: float, linear: Model, pictures: Tensor, expected: Tensor
) -> None:
    found = explain(linear, pictures, logit(0), f"rise:{method},{OPTIONS}", seed=2)
    assert min(correlations(found, expected)) > least
    assert (found - expected).abs().max() < 0.25 * expected.abs().max()


def test_a_fit_needs_fewer_masks(linear: Model, pictures: Tensor, expected: Tensor) -> None:
    mean, fit = (
        correlations(explain(linear, pictures, logit(0), f"rise:masks=80,fit={fit},{OPTIONS}"), expected)
        for fit in ("false", "true")
    )
    assert all(1 - few < 0.5 * (1 - many) for few, many in zip(fit, mean, strict=True))


def test_masks_keep_the_requested_share_and_do_not_depend_on_their_groups(pictures: Tensor) -> None:
    full = torch.cat(list(random_masks(pictures, 1500, 3, 0.2, 5, 1500)))
    torch.testing.assert_close(full, torch.cat(list(random_masks(pictures, 1500, 3, 0.2, 5, 7))))
    assert full.shape == (1500, SIDE, SIDE)
    assert 0 <= full.min() < 0.01
    assert 0.99 < full.max() <= 1
    assert (full.mean(0) - 0.2).abs().max() < 0.03
    first, second = random_masks(pictures, 20, 3, 0.2, 5, 10)
    assert not torch.equal(first, second)
    assert not torch.equal(first, next(random_masks(pictures, 20, 3, 0.2, 6, 10)))


@given(seed=st.integers(0, 100), count=st.integers(30, 60), width=st.integers(1, 20))
def test_a_fit_finds_what_is_there(seed: int, count: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    seen = torch.rand(count, width, generator=generator)
    weights = torch.randn(width, 2, generator=generator)
    torch.testing.assert_close(ridge(seen, 3 + seen @ weights), weights, rtol=0.05, atol=0.05)


def test_a_fit_leaves_noise_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    seen, noise = torch.rand(100, 30, generator=generator), torch.randn(100, 50, generator=generator)
    exact = torch.linalg.lstsq(seen - seen.mean(0), noise - noise.mean(0)).solution
    assert ridge(seen, noise).norm() < 0.5 * exact.norm()


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("rise:masks=1", "rise takes at least 2 masks"),
        ("rise:cells=101", "from 1 to 100 cells"),
        ("rise:keep=1", "keep between 0 and 1"),
        ("rise:baseline=blak", "unknown baseline 'blak'; did you mean black"),
        ("rise:fit=2", "fit must be of type bool"),
    ],
)
def test_bad_options_are_reported_in_one_line(method: str, message: str, linear: Model, pictures: Tensor) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        explain(linear, pictures, logit(0), method)
    assert "\n" not in str(caught.value)
