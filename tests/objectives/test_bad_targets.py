"""Invalid targets are refused, with an error that names what was given and what exists."""

import math
import re

import pytest
import torch

from inverter_errors import NotFound
from objectives import OUTPUT, Activations, Objective, channel, direction, logit, neuron, softmax

MAPS = Activations({"a": torch.zeros(2, 4, 5, 7), OUTPUT: torch.zeros(2, 10)})


@pytest.mark.parametrize("make", [lambda i: channel("a", i), lambda i: neuron("a", i), logit, softmax])
@pytest.mark.parametrize(
    ("index", "kind", "says"),
    [
        ([], ValueError, "empty"),
        (-1, ValueError, "-1"),
        ([0, -3], ValueError, "-3"),
        (1.5, TypeError, "integers"),
        ([0, "1"], TypeError, "integers"),
        (True, TypeError, "integers"),
        (torch.tensor([0.5]), TypeError, "integers"),
    ],
)
def test_an_index_is_an_integer_of_at_least_zero(make, index, kind, says) -> None:
    with pytest.raises(kind, match=says):
        make(index)


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        (channel("a", 4), "channel 4 is out of range: layer 'a' has 4 channels (0 to 3)"),
        (channel("a", [0, 99]), "channel 99 is out of range"),
        (neuron("a", 4), "channel 4"),
        (neuron("a", 0, y=5), "y=5 is out of range: the map of layer 'a' has 5 rows"),
        (neuron("a", 0, y=0, x=[6, 7]), "x=7 is out of range: the map of layer 'a' has 7 columns"),
        (logit(10), "channel 10 is out of range: the model's output has 10"),
        (softmax(10), "the model's output has 10"),
        (direction("a", [1.0] * 4, position=(5, 0)), "position (5, 0) is outside the map of layer 'a'"),
        (direction("a", [1.0] * 4, position=(-1, 0)), "position (-1, 0)"),
    ],
)
def test_what_is_not_there_is_an_index_error_that_says_what_is(objective: Objective, says: str) -> None:
    with pytest.raises(IndexError, match=re.escape(says)) as error:
        objective.score(MAPS)
    assert isinstance(error.value, NotFound)


def test_an_index_past_the_end_is_reported_even_if_this_batch_does_not_use_it() -> None:
    with pytest.raises(IndexError, match="99"):
        channel("a", [0, 1, 99]).score(Activations({"a": torch.zeros(2, 4, 5, 7)}, rows=torch.tensor([0, 1])))


@pytest.mark.parametrize("objective", [channel("a", [0, 1, 2]), neuron("a", [0, 1, 2]), logit([0, 1, 2])])
def test_a_number_of_targets_that_is_not_the_batchs_is_refused(objective: Objective) -> None:
    with pytest.raises(ValueError, match="3 targets for a batch of 2 images"):
        objective.score(MAPS)


def test_coordinates_must_be_as_many_as_channels() -> None:
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        neuron("a", [0, 1], y=[0, 1, 2])


@pytest.mark.parametrize("vector", [[], [[]], [[[1.0]]], [0.0], [[1.0, 0.0], [0.0, 0.0]], [1.0, math.nan], [math.inf]])
def test_a_direction_points_somewhere(vector: list[float]) -> None:
    with pytest.raises(ValueError, match="direction"):
        direction("a", vector)


def test_a_direction_has_as_many_numbers_as_the_layer_has_channels() -> None:
    with pytest.raises(ValueError, match=r"3 numbers, but layer 'a' has 4 channels"):
        direction("a", [1.0, 2.0, 3.0]).score(MAPS)


def test_directions_are_one_or_one_for_each_image() -> None:
    with pytest.raises(ValueError, match="3 targets for a batch of 2 images"):
        direction("a", torch.ones(3, 4)).score(MAPS)


@pytest.mark.parametrize("options", [{"power": -1}, {"position": "left"}])
def test_a_directions_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="direction"):
        direction("a", [1.0], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("objective", [channel("a", 0), neuron("a", 0), direction("a", [1.0])])
def test_a_layer_of_tokens_is_refused_with_its_shape(objective: Objective) -> None:
    with pytest.raises(ValueError, match=re.escape("(2, 5, 6)")):
        objective.score(Activations({"a": torch.zeros(2, 5, 6)}))
