"""Insertion and deletion for a linear score, computed by hand."""

import pytest
import torch
from torch import Tensor

from recipes.attribution.measures.curves import area, curve, normalise_curves

WEIGHTS = torch.tensor([[4.0, 1.0], [3.0, 2.0]])


def linear(images: Tensor, rows: Tensor | None = None) -> Tensor:
    return (images * WEIGHTS).sum((1, 2, 3))


def test_deletion_of_a_linear_model_takes_the_largest_share_first() -> None:
    picture, baseline = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    falling = curve(linear, picture, baseline, WEIGHTS[None], points=4)
    assert falling.tolist() == [[10.0, 6.0, 3.0, 1.0, 0.0]]
    assert area(falling).tolist() == [(10 / 2 + 6 + 3 + 1 + 0) / 4]
    rising = curve(linear, baseline, picture, WEIGHTS[None], points=4)
    assert rising.tolist() == [[0.0, 4.0, 7.0, 9.0, 10.0]]


def test_no_other_order_deletes_or_inserts_better() -> None:
    picture, baseline = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    best = area(curve(linear, picture, baseline, WEIGHTS[None], points=4))
    for seed in range(10):
        heat = torch.rand(1, 2, 2, generator=torch.Generator().manual_seed(seed))
        assert area(curve(linear, picture, baseline, heat, points=4)) >= best
        assert area(curve(linear, baseline, picture, heat, points=4)) <= 10 - best


def test_pictures_keep_their_rows_in_any_grouping() -> None:
    images = torch.rand(3, 3, 6, 4, generator=torch.Generator().manual_seed(2))
    maps, factors = images.mean(1), torch.tensor([1.0, 10.0, 100.0])

    def score(images: Tensor, rows: Tensor | None = None) -> Tensor:
        assert rows is not None
        return images.sum((1, 2, 3)) * factors[rows]

    alone = curve(score, images, torch.zeros_like(images), maps, points=7)
    assert alone.shape == (3, 8)
    torch.testing.assert_close(curve(score, images, torch.zeros_like(images), maps, 7, at_once=3), alone)
    torch.testing.assert_close(alone[:, 0], images.sum((1, 2, 3)) * factors)
    assert alone[:, -1].tolist() == [0.0, 0.0, 0.0]


def test_curves_are_normalised() -> None:
    curves = torch.tensor([[2.0, 4.0, 6.0], [1.0, 1.0, 1.0]])
    assert normalise_curves(curves, curves[:, 0], curves[:, 2]).tolist() == [[0.0, 0.5, 1.0], [0.0, 0.0, 0.0]]
    assert float(area(torch.full((1, 9), 0.25))) == pytest.approx(0.25)
