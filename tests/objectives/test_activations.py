"""The activations of a forward pass: a mapping of layers, with the target of each picture."""

import pytest
import torch

from objectives import Activations, Objective, channel


def test_a_layer_that_was_not_captured_is_named_with_those_that_were() -> None:
    with pytest.raises(LookupError, match=r"'b' was not captured; captured: 'a'"):
        Activations({"a": torch.zeros(1, 1)})["b"]
    with pytest.raises(LookupError, match="captured: none"):
        Activations({})["b"]


def test_the_image_is_there_only_if_it_was_given() -> None:
    picture = torch.rand(1, 3, 2, 2)
    assert Activations({}, picture).image is picture
    with pytest.raises(LookupError, match="image"):
        _ = Activations({}).image


def test_it_is_a_mapping_of_its_layers() -> None:
    activations = Activations({"a": torch.zeros(1, 1), "b": torch.ones(1, 1)})
    assert list(activations) == ["a", "b"]
    assert len(activations) == 2
    assert "a" in activations


def test_rows_choose_the_targets_of_a_part_of_the_units() -> None:
    targets = torch.tensor([10, 11, 12, 13])
    assert Activations({}, rows=torch.tensor([2, 0])).pick(targets).tolist() == [12, 10]
    assert Activations({}).pick(targets) is targets


def test_a_single_target_serves_every_row() -> None:
    assert Activations({}, rows=torch.tensor([5, 3])).pick(torch.tensor([7])).tolist() == [7]


def test_scoring_a_part_is_the_part_of_the_scores() -> None:
    maps = torch.randn(4, 6, 3, 3)
    objective = channel("a", [5, 0, 3, 2])
    full = objective.score(Activations({"a": maps}))
    rows = torch.tensor([3, 1])
    assert torch.equal(objective.score(Activations({"a": maps[rows]}, rows=rows)), full[rows])


def test_an_objective_may_read_the_image_alone() -> None:
    darkness = Objective("darkness", (), lambda activations: -activations.image.mean((1, 2, 3)))
    assert darkness.score(Activations({}, torch.full((2, 3, 2, 2), 0.25))).tolist() == [-0.25, -0.25]
    assert darkness.count == 1
    assert darkness.label(3) == "darkness"
