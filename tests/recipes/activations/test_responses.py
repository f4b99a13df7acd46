"""A unit's responses to a dataset, against brute force on the same activations."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import Dataset

from inverter import Model, encode, evaluate, load_model
from inverter.fields.receptive_field import Axis, ReceptiveField
from objectives import channel, logit, neuron, softmax
from recipes.activations.collect import CollectedActivations, collect
from recipes.activations.map_geometry import overlay, window
from recipes.activations.reducers import Extremes
from recipes.activations.responses import QUANTILES, PatchRecord, measured, percentile, responses

COUNT = 40


class Noise(Dataset[Tensor]):
    """Pictures of noise whose strength differs."""

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Tensor:
        draw = torch.Generator().manual_seed(index)
        return torch.rand(3, 12, 12, generator=draw) * (0.2 + 0.8 * index / COUNT)


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.stack([Noise()[index] for index in range(COUNT)])


@pytest.fixture
def tiny(tiny_net: nn.Module) -> Model:
    return load_model(tiny_net, input_size=12)


@pytest.fixture
def found(tiny: Model, tmp_path: Path) -> CollectedActivations:
    return collect(tiny, Noise(), ["stem", "body", ""], Extremes(), out=tmp_path / "kept", batch=16)


@pytest.mark.parametrize("layer", ["body", "stem"])
def test_the_most_activating_pictures_are_those_that_brute_force_finds(
    tiny: Model, found: CollectedActivations, pictures: Tensor, layer: str
) -> None:
    code = encode(tiny, pictures, layer)[layer]
    answers = responses(found, layer, [5, 0, 2], "channel", 6)
    for number, answer in zip((5, 0, 2), answers, strict=True):
        maps = code[:, number]
        best = maps.flatten(1).amax(1)
        order = best.argsort(descending=True, stable=True)[:6]
        assert [seen.picture for seen in answer.most] == order.tolist()
        for seen in answer.most:
            assert seen.at is not None
            assert seen.value == pytest.approx(float(maps[seen.picture].max()), abs=1e-5)
            assert seen.value == pytest.approx(float(maps[(seen.picture, *seen.at)]), abs=1e-5)
        assert len({seen.picture for seen in answer.most}) == 6
        np.testing.assert_allclose(answer.quantiles, np.percentile(best, QUANTILES), atol=1e-5)
        assert sum(answer.counts) == COUNT
        assert answer.fires == pytest.approx(float((best > 0).float().mean()))
        assert answer.active == pytest.approx(float((maps > 0).float().mean()), abs=1e-3)


def test_least_are_the_lowest_places_of_a_layer_that_goes_below_zero(
    tiny: Model, found: CollectedActivations, pictures: Tensor
) -> None:
    maps = encode(tiny, pictures, "body")["body"][:, 3]
    (answer,) = responses(found, "body", [3], "channel", 5)
    lowest = maps.flatten(1).amin(1)
    assert [seen.picture for seen in answer.least] == lowest.argsort(stable=True)[:5].tolist()
    assert all(seen.at is not None for seen in answer.least)
    for seen in answer.least:
        assert float(maps[(seen.picture, *seen.at)]) == pytest.approx(seen.value, abs=1e-5)  # type: ignore[misc]


def test_behind_a_relu_least_are_the_pictures_whose_highest_place_is_least(
    tiny: Model, found: CollectedActivations, pictures: Tensor
) -> None:
    maps = encode(tiny, pictures, "stem")["stem"]
    for number, answer in enumerate(responses(found, "stem", range(8), "channel", 5)):
        highest = maps[:, number].flatten(1).amax(1)
        if (maps[:, number].flatten(1).amin(1) == 0).sum() > 5 and highest.max() > 0:
            assert [seen.picture for seen in answer.least] == highest.argsort(stable=True)[:5].tolist()
            for seen in answer.least:
                assert (seen.at is None) == (highest[seen.picture] == 0)


def test_a_unit_that_is_the_same_everywhere_has_no_patches(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.copy_(torch.tensor([-1.0, 2.0]))
    found = collect(net, Noise(), "1", Extremes(), out=tmp_path, size=12)
    for answer, value in zip(responses(found, "1", [0, 1], "channel", 3), (0.0, 2.0), strict=True):
        assert answer.most == answer.least == []
        assert answer.quantiles == [value] * len(QUANTILES)


def test_neurons_are_ranked_at_the_centre_and_classes_by_their_logits(
    tiny: Model, found: CollectedActivations, pictures: Tensor
) -> None:
    centre = encode(tiny, pictures, "body")["body"][:, 1, 6, 6]
    (answer,) = responses(found, "body", [1], "neuron", 4)
    assert [seen.picture for seen in answer.most] == centre.argsort(descending=True, stable=True)[:4].tolist()
    assert {seen.at for seen in [*answer.most, *answer.least]} == {(6, 6)}
    logits = encode(tiny, pictures, "")[""][:, 4]
    (answer,) = responses(found, "", [4], "logit", 4)
    assert [seen.picture for seen in answer.most] == logits.argsort(descending=True, stable=True)[:4].tolist()
    assert [seen.picture for seen in answer.least] == logits.argsort(stable=True)[:4].tolist()


def test_more_patches_than_pictures_are_all_there_are(found: CollectedActivations) -> None:
    (answer,) = responses(found, "body", [0], "channel", 1000)
    assert sorted(seen.picture for seen in answer.most) == list(range(COUNT))


def test_what_is_measured_is_what_the_objectives_say(
    tiny: Model, found: CollectedActivations, pictures: Tensor
) -> None:
    for kind, layer, objective in (
        ("channel", "body", channel("body", 2)),
        ("neuron", "body", neuron("body", 2)),
        ("logit", "", logit(2)),
        ("softmax", "", softmax(2)),
    ):
        np.testing.assert_allclose(measured(found, layer, 2, kind), evaluate(tiny, objective, pictures), atol=1e-5)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20), st.integers(-6, 6))
def test_a_percentile_counts_what_lies_below(values: list[int], score: int) -> None:
    assert percentile(np.array(values), score) == pytest.approx(100 * sum(v < score for v in values) / len(values))


def test_an_overlay_puts_each_cell_in_the_middle_of_what_its_unit_sees() -> None:
    field = ReceptiveField(Axis(16, 5, 159), Axis(8, -20, 6))
    found = overlay(field, (512, 13, 27), (224, 224))
    for y, x in ((0, 0), (12, 26), (6, 13)):
        middle = [corner + (i + 0.5) * cell for i, corner, cell in zip((y, x), found.corner, found.cell, strict=True)]
        seen = (16 * y + 5, 8 * x - 20, 16 * y + 159 + 1, 8 * x + 6 + 1)
        assert middle == [(seen[0] + seen[2]) / 2, (seen[1] + seen[3]) / 2]
    assert found.corner[0] - found.rim * 16 <= 0
    assert found.corner[0] + (13 + found.rim) * 16 >= 224
    assert found.corner[1] + (27 + found.rim) * 8 >= 224
    assert overlay(None, (8, 4, 4), (32, 16)).cell == (8, 4)
    unbounded = ReceptiveField(*[Axis(math.inf, -math.inf, math.inf)] * 2)
    assert overlay(unbounded, (10,), (32, 16)).shape == (1, 1)


def test_a_window_is_the_full_picture_where_no_part_stands_out() -> None:
    field = ReceptiveField(Axis(4, -3, 7), Axis(4, -3, 7))
    assert window(field, PatchRecord(0, 1.0, (0, 2)), (32, 40)) == [0, 5, 8, 16]
    assert window(field, PatchRecord(0, 0.0, None), (32, 40)) == [0, 0, 32, 40]
    assert window(None, PatchRecord(0, 1.0, (0, 2)), (32, 40)) == [0, 0, 32, 40]
