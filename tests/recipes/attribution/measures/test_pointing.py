"""Maps and boxes, computed by hand."""

import pytest
import torch

from recipes.attribution.measures.pointing import box_iou, box_mask, energy, points_at

HEAT = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 4.0, 3.0, 0.0], [-9.0, 0.0, 0.0, 0.0]])


def test_the_hottest_pixel_lies_in_a_box_or_not() -> None:
    assert points_at(HEAT, [(1, 1, 2, 2)])
    assert not points_at(HEAT, [(0, 2, 1, 4)])
    assert points_at(HEAT, [(0, 2, 1, 4)], margin=1)
    assert points_at(HEAT, [(0, 3, 1, 4), (1, 0, 3, 2)])
    assert not points_at(torch.zeros(3, 4), [(0, 0, 3, 4)])


def test_energy_counts_what_speaks_for_the_target() -> None:
    assert energy(HEAT, [(0, 0, 2, 2)]) == pytest.approx(5 / 8)
    assert energy(HEAT, [(0, 0, 2, 2), (1, 1, 3, 3)]) == 1.0
    assert energy(-HEAT.abs(), [(0, 0, 3, 4)]) == 0.0


def test_overlap_takes_the_nearest_box() -> None:
    # Values above 20 % of 4 span rows 0 to 1 and columns 1 to 2.
    assert box_iou(HEAT, [(0, 1, 2, 3)]) == 1.0
    assert box_iou(HEAT, [(0, 1, 2, 4)]) == pytest.approx(4 / 6)
    assert box_iou(HEAT, [(2, 3, 3, 4), (0, 1, 2, 4)]) == pytest.approx(4 / 6)
    assert box_iou(HEAT, [(2, 3, 3, 4)]) == 0.0
    assert box_iou(torch.zeros(3, 4), [(0, 0, 1, 1)]) == 0.0


def test_a_margin_ends_at_the_border() -> None:
    assert box_mask([(0, 0, 1, 1)], (2, 2), margin=5).all()
