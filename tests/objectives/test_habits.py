"""What people write out of habit, and one helpful line for each."""

import warnings

import pytest
import torch
from torch import nn

from inverter import BadInput, BadType, Settings, evaluate, load_model, optimize
from objectives import Objective, channel, diversity, neuron
from priors import Fourier

NET = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
SETTINGS = Settings(steps=2, precision="float32")


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        (lambda activations: activations["0"].mean(), r"got function .*Objective\(\"mine\""),
        ("channel:0:3", r"got str 'channel:0:3': build it with a function of `objectives`"),
        (3, "got int 3: e.g. channel"),
        (None, "got NoneType None"),
        (torch.zeros(1), "got Tensor"),
    ],
)
def test_an_objective_that_is_none(objective: object, says: str) -> None:
    for ask in (
        lambda: optimize(load_model(NET, input_size=16), objective, Fourier(1, size=16), SETTINGS),  # type: ignore[arg-type]
        lambda: evaluate(load_model(NET, input_size=16), objective, torch.rand(1, 3, 16, 16)),  # type: ignore[arg-type]
    ):
        with pytest.raises(BadType, match=says) as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("score", "says"),
    [
        (lambda seen: seen["0"].mean(), r"returned shape \(\) for 1 picture, expected one score for each, \(B,\)"),
        (lambda seen: seen["0"].mean((2, 3)), r"returned shape \(1, 4\)"),
        (lambda _: 3.0, r"returned float"),
        (lambda _: None, r"returned NoneType"),
    ],
)
def test_a_score_that_is_not_one_number_for_each_picture(score, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        optimize(load_model(NET, input_size=16), Objective("mine", ("0",), score), Fourier(1, size=16), SETTINGS)


def test_a_position_as_one_argument() -> None:
    with pytest.raises(BadType, match=r"neuron: y is a row, got \(2, 2\): .*y=2, x=2"):
        neuron("0", 3, (2, 2))  # type: ignore[arg-type]
    assert neuron("0", [1, 2], (2, 3), 1).count == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: channel("0", 3) - 1e2 * diversity("0"),
        lambda: channel("0", 3) + diversity("0") * -1,
        lambda: -diversity("0"),
        lambda: 2 * (channel("0", 3) - diversity("0")),
    ],
)
def test_a_diversity_that_is_subtracted_is_warned_of_once(make) -> None:
    objective, model = make(), load_model(NET, input_size=16)
    with pytest.warns(UserWarning, match="makes the pictures alike") as caught:
        optimize(model, objective, Fourier(2, size=16), SETTINGS)
    assert len(caught) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: channel("0", 3) + 1e2 * diversity("0"),
        lambda: -(channel("0", 3) - diversity("0")),
        lambda: channel("0", 1) - channel("0", 2),
    ],
)
def test_a_diversity_that_is_added_is_not(make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimize(load_model(NET, input_size=16), make(), Fourier(2, size=16), SETTINGS)
