"""The manifest: survives a round trip through JSON, and compares two runs by what affects their pictures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inverter import __version__, load_model
from recipes.outputs.manifest import PASSING, Manifest, Record, describe, versions

RECORD = Record("features.9", 3, "channel", 0, 7, "images/features.9/0003.png", 12.5, 64, 0.25, "ok")
texts = st.text(max_size=12)
records = st.builds(
    Record,
    layer=texts,
    channel=st.integers(0, 9999),
    objective=texts,
    attempt=st.integers(0, 9),
    seed=st.integers(0, 2**63),
    file=texts.map(lambda text: "images/" + "".join("_" if c in "\0/.\\:" else c for c in text)),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    steps=st.integers(1, 999),
    seconds=st.floats(0, 1e6),
    status=texts,
    direction=st.sampled_from(["max", "min"]),
    name=st.none() | texts,
    image=st.none() | texts,
)


def manifest(**settings: object) -> Manifest:
    known = {"model": "builtin", "steps": 4, "out": "a", "device": None, "batch_size": 8, "fresh": False}
    return Manifest("gallery", known | settings, {"spec": "builtin", "sha256": "ab"}, planned=3)


@given(st.lists(records, max_size=4, unique_by=lambda record: record.file))
def test_it_survives_the_way_through_a_file(tmp_path_factory: pytest.TempPathFactory, found: list[Record]) -> None:
    path = tmp_path_factory.mktemp("m") / "manifest.json"
    before = manifest(layer=["a", "b"])
    before.units = {record.file: record for record in found}
    path.write_text(json.dumps(before.to_json(), allow_nan=False))
    after = Manifest.load(path)
    assert after == before
    assert list(after.units) == [record.file for record in found]


def test_it_has_the_documented_fields() -> None:
    run = manifest()
    run.units[RECORD.file] = replace(RECORD, name="otter")
    data = run.to_json()
    assert data["inverter"] == __version__
    assert data["recipe"] == "gallery"
    assert data["planned"] == 3
    assert set(data) == {"inverter", "recipe", "created", "settings", "model", "versions", "planned", "units"}
    assert data["units"] == [
        {
            "layer": "features.9",
            "channel": 3,
            "objective": "channel",
            "attempt": 0,
            "seed": 7,
            "file": "images/features.9/0003.png",
            "score": 12.5,
            "steps": 64,
            "seconds": 0.25,
            "status": "ok",
            "direction": "max",
            "name": "otter",
        }
    ]


def test_versions_are_of_all_that_computes() -> None:
    assert {"python", "torch", "torchvision", "kornia", "numpy", "pillow", "cpu"} <= set(versions())


def test_a_model_is_described_by_its_weights_and_preprocessing() -> None:
    model = load_model(nn.Conv2d(3, 2, 1), normalize="half", input_size=(8, 9))
    assert describe(model) == {
        "spec": "module",
        "weights": None,
        "sha256": model.sha256,
        "input_size": [8, 9],
        "input_size_from": "network",
        "parameters": 8,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "value_range": [0.0, 1.0],
        "show_channels": [],
        "tiles": [1, 1],
        "device": "cpu",
    }


@pytest.mark.parametrize("key", sorted(PASSING))
def test_what_does_not_change_the_pictures_is_no_difference(key: str) -> None:
    assert manifest().difference(manifest(**{key: "other"})) is None


def test_a_difference_is_named_with_both_values() -> None:
    assert manifest().difference(manifest()) is None
    assert manifest(steps=4).difference(manifest(steps=8)) == "steps is 8, not 4"
    assert manifest(new=1).difference(manifest()) == "new is None, not 1"
    assert manifest().difference(manifest(old=2)) == "old is 2, not None"
    assert manifest(new=False).difference(manifest()) is None
    other = manifest()
    other.model = {"spec": "builtin", "sha256": "cd"}
    assert "weights" in (manifest().difference(other) or "")
    other.recipe = "dream"
    assert manifest().difference(other) == "recipe is 'dream', not 'gallery'"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"units": 3}',
        '{"units": [{"odd": 1}]}',
        "\ufffd",
        '{"recipe": "a", "units": [], "settings": 3}',
    ],
)
def test_what_is_no_manifest_is_named_by_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"manifest.json is no manifest of this version.*set fresh to start over"):
        Manifest.load(path)


def test_bytes_that_are_no_text_are_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ValueError, match="no manifest"):
        Manifest.load(path)
