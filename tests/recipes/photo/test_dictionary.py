"""Semantic dictionaries: the icons of a photo, and on a trained network, that they point along their vectors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from inverter import Model, encode, load_model
from recipes import Dictionary
from recipes.photo.dictionary import parse_positions
from recipes.photo.icons import strongest
from recipes.runner.context import RunContext
from recipes.runner.units import Unit


def test_the_strongest_channels_are_the_highest_above_zero() -> None:
    vector = torch.tensor([0.0, 3.0, -9.0, 5.0, 1.0])
    assert strongest(vector, 2) == [(3, 5.0), (1, 3.0)]
    assert strongest(vector, 9) == [(3, 5.0), (1, 3.0), (4, 1.0)]
    assert strongest(-vector.abs(), 3) == []


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1))
def test_positions_are_themselves_without_repetition(places: list[tuple[int, int]]) -> None:
    assert parse_positions([f"{y}, {x}" for y, x in places], 7, 5, "conv") == list(dict.fromkeys(places))


def test_all_positions_come_in_reading_order() -> None:
    assert parse_positions("all", 2, 3, "conv") == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no position"),
        ("3", "'3' is no position"),
        ("1,2,3", "no position"),
        ("-1,0", "no position"),
        ("7,0", "position 7,0 is outside the map of layer 'conv', which has 7 rows and 5 columns"),
        ("0,5", "outside"),
    ],
)
def test_other_positions_are_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_positions(text, 7, 5, "conv")
    assert says in str(caught.value)


@pytest.fixture
def tiny(tiny_net: nn.Module) -> Model:
    return load_model(tiny_net, input_size=12)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def units_of(recipe: Dictionary, model: Model) -> list[Unit]:
    return recipe.units(RunContext(recipe, model))


def dictionary(model: Any, photo: Path, **options: Any) -> Dictionary:
    known = {"layer": "stem.2", "icon": 12, "steps": 2, "precision": "float32", "out": str(photo.parent / "out")}
    return Dictionary(model=model, **(known | {"image": str(photo)} | options))


def test_each_channel_is_made_once_for_all_positions(tiny: Model, photo: Path) -> None:
    units = units_of(dictionary(tiny, photo, positions=["0,0", "5,6", "0,0"], count=8), tiny)
    assert [unit.objective for unit in units[:3]] == ["original", "direction", "direction"]
    files = [unit.file for unit in units]
    assert files[1:3] == ["images/stem.2/position-000-000.png", "images/stem.2/position-005-006.png"]
    assert len(files) == len(set(files))
    assert 1 <= sum(unit.objective == "channel" for unit in units) <= 8


def test_a_run_writes_everything_once_and_continues(tiny: Model, photo: Path) -> None:
    recipe = dictionary(tiny, photo, layer=["stem.2", "mix"], positions="2,3")
    report = recipe.run()
    records = list(report.manifest.units.values())
    assert all((report.out / record.file).is_file() for record in records)
    positions = [record for record in records if record.objective == "direction"]
    sizes = {record.layer: record.metrics["map_size"] for record in positions}
    assert sizes == {"stem.2": [12, 12], "mix": [12, 12]}
    one = positions[0]
    assert one.metrics["position"] == [2, 3]
    values = [each["value"] for each in one.metrics["channels"]]
    assert values == sorted(values, reverse=True)
    assert -1 <= one.metrics["cosine"] <= 1
    assert recipe.run().made == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"positions": "12,0"}, "outside the map"),
        ({"layer": "head"}, "expected a map (B, C, H, W)"),
        ({"image": "missing.png"}, "no picture 'missing.png'"),
        ({"image": ""}, "expected the path of a photo"),
        ({"layer": ""}, "expected addresses"),
        ({"layer": "missing"}, "missing"),
        ({"count": 0}, "count must be an integer of at least 1"),
        ({"power": -1.0}, "power must be in"),
    ],
)
def test_bad_input_is_an_error_before_anything_is_written(
    tiny: Model, photo: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises((ValueError, LookupError, FileNotFoundError)) as caught:
        dictionary(tiny, photo, **options).run()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (photo.parent / "out").exists()


def test_a_damaged_photo_and_silent_positions_are_errors(photo: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.fill_(-1.0)
    model = load_model(net.eval(), normalize="none", input_size=8)
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photo)
    with pytest.raises(ValueError, match="layer '1' is all zero"):
        units_of(dictionary(model, photo, layer="1"), model)
    pixels[1, 2] = 255
    Image.fromarray(pixels).save(photo)
    with pytest.raises(ValueError, match="position 0,0 of layer '1' is all zero"):
        units_of(dictionary(model, photo, layer="1", positions="0,0"), model)
    units = units_of(dictionary(model, photo, layer="1"), model)
    assert [unit.file for unit in units if unit.objective == "direction"] == ["images/1/position-001-002.png"]
    photo.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="cannot be read"):
        units_of(dictionary(model, photo, layer="1"), model)


def test_icons_of_a_trained_network_point_along_their_vectors(
    squeezenet: Model, shared_data: Path, tmp_path: Path
) -> None:
    photo = next((shared_data / "images" / "imagenet").glob("0235_*"))
    recipe = Dictionary(
        model=squeezenet, image=str(photo), layer="features.12", positions=["4,6", "8,3"], count=1, out=str(tmp_path)
    )
    report = recipe.run()
    records = [record for record in report.manifest.units.values() if record.objective == "direction"]
    icons = {unit.file: icon for unit, icon in recipe._icons(RunContext(recipe, squeezenet)).items()}
    noise = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    random = encode(squeezenet, noise, "features.12")["features.12"].mean((2, 3))[0]
    for record in records:
        target = icons[record.file].vector
        baseline = float(torch.nn.functional.cosine_similarity(random, target, dim=0))
        assert record.metrics["cosine"] > max(0.5, baseline + 0.2)
