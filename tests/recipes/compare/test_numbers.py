"""The numbers of a comparison against their plain definitions, and the laws that they obey."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.compare.alignment import cka, debiased_cka
from recipes.compare.matches import match_units
from recipes.compare.moments import moments, square_norms, total
from recipes.compare.ridge import PENALTIES, Ridge, chance_error, identity_error

Array = np.ndarray


def drawn(seed: int, pictures: int = 40, rows: int = 3, channels: int = 5) -> Array:
    return np.random.default_rng(seed).normal(1.5, 2, (pictures, rows, channels)).astype(np.float32)


def both_cka(x: Array, y: Array) -> tuple[float, float]:
    sums = [total(moments(*pair)) for pair in ((x,), (x, y), (y,))]
    norms = [square_norms(rows, rows.reshape(-1, rows.shape[2]).mean(0)) for rows in (x, y)]
    return cka(*sums), debiased_cka(*sums, *norms)


def flat(rows: Array) -> Array:
    return rows.reshape(-1, rows.shape[2]).astype(np.float64)


def plain_hsic(k: Array, kernel: Array) -> float:
    """Unbiased HSIC from two n x n kernels, as Song et al. 2012 write it in equation 5."""
    n = len(k)
    k, kernel = (each - np.diag(np.diag(each)) for each in (k, kernel))
    ends = k.sum() * kernel.sum() / ((n - 1) * (n - 2))
    return float((np.trace(k @ kernel) + ends - 2 / (n - 2) * (k @ kernel).sum()) / (n * (n - 3)))


def test_cka_is_its_definition_by_kernels() -> None:
    x, y = drawn(0), drawn(1, channels=7)
    y[:, :, :5] += 2 * x
    a, b = (rows - rows.mean(0) for rows in map(flat, (x, y)))
    biased, debiased = both_cka(x, y)
    truth = ((a.T @ b) ** 2).sum() / np.sqrt(((a.T @ a) ** 2).sum() * ((b.T @ b) ** 2).sum())
    assert biased == pytest.approx(truth, rel=1e-6)
    k, kernel = flat(x) @ flat(x).T, flat(y) @ flat(y).T  # not centred: the estimate must not care
    truth = plain_hsic(k, kernel) / np.sqrt(plain_hsic(k, k) * plain_hsic(kernel, kernel))
    assert debiased == pytest.approx(truth, rel=1e-6)


@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-5, 5))
def test_cka_ignores_rotation_scale_and_shift(seed: int, scale: float, shift: float) -> None:
    x, y = drawn(seed), drawn(seed + 1)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))[0]
    moved = (scale * (x @ turn + shift)).astype(np.float32)
    assert both_cka(x, moved) == pytest.approx((1, 1), abs=1e-4)
    assert both_cka(moved, y) == pytest.approx(both_cka(x, y), abs=1e-3)


def test_only_the_debiased_cka_of_noise_is_zero() -> None:
    found = [both_cka(drawn(seed, 15, 2, 60), drawn(seed + 100, 15, 2, 60)) for seed in range(20)]
    biased, debiased = np.mean(found, 0)
    assert biased > 0.5
    assert abs(debiased) < 0.03


def test_a_constant_layer_has_no_cka() -> None:
    assert np.isnan(both_cka(np.ones((8, 1, 3), np.float32), drawn(0, 8, 1))).all()


def test_blocks_and_parts_lose_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = drawn(0, 22), drawn(1, 22)
    monkeypatch.setattr("recipes.compare.moments.BLOCK", 8)
    parts = moments(x, y)
    assert [part.count for part in parts] == [18, 18, 15, 15]
    np.testing.assert_allclose(parts[1].xy, flat(x[1::4]).T @ flat(y[1::4]), rtol=1e-6)
    np.testing.assert_allclose(total(parts).xy, flat(x).T @ flat(y), rtol=1e-6)


def test_the_map_is_ridge_regression_with_its_error_on_unseen_pictures() -> None:
    x = drawn(0, 60)
    y = x @ np.random.default_rng(5).normal(size=(5, 4)).astype(np.float32) + 1 + 0.7 * drawn(9, 60, 3, 4)
    fit = Ridge(moments(x)).fit(moments(x, y), moments(y))
    learn = np.arange(60) % 4 < 2
    a, b = flat(x[learn]), flat(y[learn])
    gram = (a - a.mean(0)).T @ (a - a.mean(0))
    penalty = fit.penalty * np.linalg.eigvalsh(gram).mean()
    weights = np.linalg.solve(gram + penalty * np.eye(5), (a - a.mean(0)).T @ (b - b.mean(0)))
    c, d = flat(x[~learn]), flat(y[~learn])
    wrong = ((d - b.mean(0) - (c - a.mean(0)) @ weights) ** 2).sum() / ((d - d.mean(0)) ** 2).sum()
    assert fit.penalty in PENALTIES
    assert fit.error == pytest.approx(wrong, rel=1e-5)


def test_an_exact_map_is_found_and_noise_is_not_explained() -> None:
    x = drawn(0)
    turned = (x @ np.random.default_rng(1).normal(size=(5, 6))).astype(np.float32)
    assert Ridge(moments(x)).fit(moments(x, turned), moments(turned)).error < 1e-5
    noise = drawn(3, channels=6)
    assert 0.95 < Ridge(moments(x)).fit(moments(x, noise), moments(noise)).error < 1.15


def test_errors_of_the_identity_and_of_chance() -> None:
    x, y = drawn(0, 400), drawn(0, 400) + 0.5 * drawn(1, 400)
    sums = [total(moments(*pair)) for pair in ((x,), (x, y), (y,))]
    spread = ((flat(y) - flat(y).mean(0)) ** 2).sum()
    assert identity_error(*sums) == pytest.approx(((flat(y) - flat(x)) ** 2).sum() / spread, rel=1e-5)
    shuffled = flat(x)[np.random.default_rng(0).permutation(len(flat(x)))]
    assert chance_error(sums[0], sums[2]) == pytest.approx(((flat(y) - shuffled) ** 2).sum() / spread, rel=0.05)


def test_matching_undoes_a_permutation_and_leaves_dead_units_alone() -> None:
    x, order = drawn(0), np.array([3, 0, 4, 1, 2])
    y = x[:, :, order] + 0.05 * drawn(1)
    x[:, :, 2] = 0  # dead: its copy, unit 4 of the other layer, has no match
    found = match_units(*(moments(*pair) for pair in ((x,), (x, y), (y,))))
    assert {(match.unit, match.other) for match in found.best} == {(3, 0), (0, 1), (4, 2), (1, 3)}
    assert all(match.correlation > 0.99 for match in found.best)
    assert found.mutual == pytest.approx(4 / 5)
    assert found.back == pytest.approx(4 / 5, abs=0.05)
