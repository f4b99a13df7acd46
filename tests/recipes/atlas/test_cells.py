"""The arithmetic of the atlas against small cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recipes.atlas.cells import (
    cells,
    contrasts,
    mean_activation,
    mean_directions,
    own_cell,
    second_moment,
    unit_square,
    whitened,
)

layouts = arrays(np.float64, st.tuples(st.integers(1, 60), st.just(2)), elements=st.floats(-1e6, 1e6))


def test_an_outlier_moves_to_the_margin() -> None:
    # 0, 1, ..., 100 and a far point at 10,000: percentiles 1 and 99 of these 102 numbers are 1.01 and 99.99.
    line = np.append(np.arange(101.0), 10_000.0)
    got = unit_square(np.stack([line, line], axis=1))[:, 0]
    edge = 99.99 + 0.1 * (99.99 - 1.01)  # 109.888: the far point is clipped to it, and 0 is inside on the other side
    np.testing.assert_allclose(got[-1], 1)
    np.testing.assert_allclose(got[:101], np.arange(101.0) / edge, atol=1e-9)


@given(layouts)
def test_every_layout_fills_the_unit_square(layout: np.ndarray) -> None:
    got = unit_square(layout)
    assert got.min() >= 0 and got.max() <= 1
    for axis in range(2):
        spread = np.ptp(got[:, axis])
        assert spread == 0 or spread == pytest.approx(1)


@pytest.mark.parametrize("layout", [np.zeros((3, 3)), np.zeros((0, 2)), np.array([[np.nan, 0]])])
def test_an_invalid_layout_is_rejected(layout: np.ndarray) -> None:
    with pytest.raises(ValueError, match="layout"):
        unit_square(layout)


def test_cells_by_hand() -> None:
    #   x:    .1   .4   .6   1.0  1.0
    #   y:    .1   .4   .1   .49  1.0      grid 2: (0,0) twice, (0,1) twice, (1,1) once
    places = np.array([[0.1, 0.1], [0.4, 0.4], [0.6, 0.1], [1.0, 0.49], [1.0, 1.0]])
    got = {(cell.row, cell.column): cell.members.tolist() for cell in cells(places, 2, min_members=1)}
    assert got == {(0, 0): [0, 1], (0, 1): [2, 3], (1, 1): [4]}
    assert [(cell.row, cell.column) for cell in cells(places, 2, min_members=2)] == [(0, 0), (0, 1)]
    assert cells(places, 2, min_members=3) == []


@given(layouts, st.integers(1, 12))
def test_every_activation_is_in_one_cell(layout: np.ndarray, grid: int) -> None:
    found = cells(unit_square(layout), grid, min_members=1)
    assert sorted(index for cell in found for index in cell.members) == list(range(len(layout)))
    assert all(0 <= cell.row < grid and 0 <= cell.column < grid for cell in found)


def test_mean_directions_by_hand() -> None:
    vectors = np.array([[1, 0], [3, 4], [5, 5]], dtype=np.float16)
    found = cells(np.array([[0, 0], [0.1, 0], [0.9, 0.9]]), 2, min_members=1)
    np.testing.assert_array_equal(mean_directions(vectors, found), [[2, 2], [5, 5]])


def test_the_second_moment_by_hand_and_in_parts() -> None:
    vectors = np.array([[1, 2], [3, 0], [0, 1]], dtype=np.float16)
    expected = np.array([[10, 2], [2, 5]]) / 3
    np.testing.assert_allclose(second_moment(vectors), expected)
    np.testing.assert_allclose(second_moment(vectors, rows=2), expected)


def test_whitening_by_hand() -> None:
    # The mean square of a channel is (3 + 1) / 2 = 2: with ridge .5 it is diag(4, 2), and (4, 2) turns to (1, 1)
    got = whitened(np.array([[4.0, 2.0]]), np.diag([3.0, 1.0]), ridge=0.5)
    np.testing.assert_allclose(got, np.sqrt(20) * np.array([[1, 1]]) / np.sqrt(2), rtol=1e-6)


def test_whitening_suppresses_a_shared_channel() -> None:
    # Channel 0 is active everywhere; whitened, the channels of single cells weigh more than it.
    vectors = np.array([[9.0, 1.0, 0.0], [9.0, 0.0, 1.0]])
    got = whitened(vectors, second_moment(vectors), ridge=0.01)
    assert np.all(np.abs(got[:, 0]) < got.max(axis=1))


def test_a_large_ridge_leaves_directions_alone() -> None:
    directions = np.array([[1.0, 2.0, 3.0]])
    moment = np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(whitened(directions, moment, ridge=1e6), directions, rtol=1e-4)


@pytest.mark.parametrize("ridge", [0, -1, float("nan")])
def test_a_ridge_must_be_positive(ridge: float) -> None:
    with pytest.raises(ValueError, match="ridge must be above 0"):
        whitened(np.ones((1, 2)), np.eye(2), ridge)


def test_own_cell_by_hand() -> None:
    directions = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    activations = np.array([[3.0, 4.0], [0.0, 5.0], [1.0, 0.9]])
    cosine, own = own_cell(activations, directions, [0, 1, 2])
    np.testing.assert_allclose(cosine, [0.6, 1.0, 1.9 / np.sqrt(2 * 1.81)])
    assert own.tolist() == [False, True, True]  # (3, 4) is nearest to (1, 1): 7 / (5 sqrt 2) = .99


def test_the_mean_of_some_activations_is_read_in_chunks() -> None:
    vectors = np.arange(20.0).reshape(10, 2)
    kept = np.array([1, 4, 5, 9])
    np.testing.assert_allclose(mean_activation(vectors, kept, rows=3), vectors[kept].mean(0))


def test_contrasts_of_short_directions_still_point_along_them() -> None:
    average = np.array([4.0, 3.0, 0.0])
    directions = np.stack([0.1 * average, np.array([0.1, 0.0, 0.1]), np.array([9.0, 0.0, 1.0])])
    found = contrasts(directions, average)
    assert ((found * directions).sum(axis=1) > 0).all()
    assert ((directions - average) * directions).sum(axis=1)[:2].max() < 0  # the plain difference does not
    np.testing.assert_allclose(contrasts(directions, np.zeros(3)), directions, rtol=1e-6)
