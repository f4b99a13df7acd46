"""Class sensitivity: the runner-up class, and the change of a map with the target."""

import pytest
import torch
from torch import Tensor

from inverter import Model, encode
from recipes.attribution.measures.sensitivity import runner_up_classes, target_change


def test_the_runner_up_is_the_highest_of_all_others(tiny: Model, pictures: Tensor) -> None:
    ranked = encode(tiny, pictures, "")[""].argsort(1, descending=True)
    assert runner_up_classes(tiny, pictures, ranked[:, 0].tolist()) == ranked[:, 1].tolist()
    assert runner_up_classes(tiny, pictures, ranked[:, 3].tolist()) == ranked[:, 0].tolist()


def test_change_is_how_far_the_order_differs() -> None:
    heat = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert float(target_change(heat, heat + 5)) == pytest.approx(0.0)
    assert float(target_change(heat, torch.tensor([[[0.1, 0.9, 0.2]]]))) == pytest.approx(0.5)
