"""TOML: its keys are the recipe's fields, and errors name the file and the key."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inverter_errors import BadInput
from recipes import Atlas, Gallery
from recipes.cli.recipe_file import kind, load_recipe

names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "recipe.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def toml(values: dict[str, Any]) -> str:
    """TOML of plain values, which are spelled as in JSON."""
    return "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items() if value is not None
    )


galleries = st.fixed_dictionaries(
    {
        "model": names,
        "out": names,
        "layer": names | st.lists(names, min_size=1, max_size=3).map(tuple),
        "channels": st.sampled_from(["all", "1,2", "0-5"])
        | st.integers(0, 99)
        | st.lists(st.integers(0, 9), min_size=1).map(tuple),
        "prior": st.sampled_from(["fourier", "pixels"]),
        "objective": st.sampled_from(["channel", "neuron"]),
        "attempts": st.integers(1, 9),
        "negative": st.booleans(),
        "steps": st.integers(1, 999),
        "size": st.none() | st.integers(1, 999),
        "seed": st.integers(0, 2**40),
        "learning_rate": st.none() | st.floats(0.001, 10),
        "batch_size": st.none() | st.integers(1, 99),
        "weights": st.none() | names,
    }
)


@given(galleries)
def test_a_recipe_survives_a_round_trip_through_toml(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    path = written(tmp_path_factory.mktemp("t"), toml({"recipe": "gallery"} | values))
    assert load_recipe(path) == Gallery(**values)


def test_every_field_is_a_key_and_the_defaults_are_the_recipes(tmp_path: Path) -> None:
    assert load_recipe(written(tmp_path, "")) == Gallery()
    defaults = {field.name: getattr(Gallery(), field.name) for field in fields(Gallery)}
    assert load_recipe(written(tmp_path, toml(defaults))) == Gallery()


def test_the_command_lines_values_take_precedence(tmp_path: Path) -> None:
    path = written(tmp_path, 'out = "a"\nsteps = 3')
    assert load_recipe(path, out="b") == Gallery(out="b", steps=3)


def test_a_key_of_the_last_release_works_and_names_the_new_one(tmp_path: Path) -> None:
    path = written(tmp_path, 'recipe = "atlas"\nimages = "photos"\nlayer = "a"\nleast = 3')
    with pytest.warns(FutureWarning, match="least is now min_members; the old name goes with the next release"):
        assert load_recipe(path) == Atlas(images="photos", layer="a", min_members=3)


def test_changes_take_precedence_and_are_checked_as_the_file_is(tmp_path: Path) -> None:
    path = written(tmp_path, 'recipe = "gallery"\nout = "a"\nsteps = 3')
    changed = load_recipe(
        path, ["steps=16", "prior=pixels:l2=1", 'layer = ["a", "b"]', "channels=0-5", "negative=true"]
    )
    assert changed == Gallery(out="a", steps=16, prior="pixels:l2=1", layer=("a", "b"), channels="0-5", negative=True)
    assert load_recipe(path, ["recipe=atlas", "images=photos", "layer=a"]).name == "atlas"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("steps=many", "--set: steps must be an integer, got 'many'"),
        ("step=3", "--set: unknown key 'step'; did you mean steps"),
        ("steps", "--set 'steps': expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("recipe=galery", "unknown recipe 'galery'; did you mean gallery"),
    ],
)
def test_a_change_that_is_wrong_says_so(tmp_path: Path, change: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        load_recipe(written(tmp_path, 'recipe = "gallery"'), [change])


def test_a_key_of_another_recipe_in_a_file_without_one_is_explained(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"unknown key 'code'.*names no recipe, so it is taken for a gallery"):
        load_recipe(written(tmp_path, 'code = "codes.safetensors"'))


def test_an_integer_is_a_number(tmp_path: Path) -> None:
    rate = load_recipe(written(tmp_path, "learning_rate = 1")).learning_rate
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chanels = 3", "unknown key 'chanels'; did you mean channels"),
        ("zzzzzz = 3", "unknown key 'zzzzzz'; expected one of .*layer"),
        ("name = 'gallery'", "unknown key 'name'"),
        ("[settings]\nsteps = 3", "unknown key 'settings'"),
        ("batch-size = 3", "did you mean batch_size"),
        ("recipe = 'galery'", "unknown recipe 'galery'; did you mean gallery"),
        ("recipe = 3", "unknown recipe 3"),
        ("recipe = 'atlas'", "atlas needs the keys images"),
        ("steps = 'many'", "steps must be an integer, got 'many'"),
        ("steps = 2.0", "steps must be an integer, got 2.0"),
        ("steps = true", "steps must be an integer, got True"),
        ("negative = 1", "negative must be true or false, got 1"),
        ("model = 3", "model must be text, got 3"),
        ("weights = 3", "weights must be text"),
        ("out = 1979-05-27", "out must be text"),
        ("layer = 3", "layer must be text, got 3"),
        ("layer = [3]", r"layer: got \(3,\)"),
        ("layer = []", "layer: got none"),
        ("layer = ''", "layer: got ''"),
        ("learning_rate = 'fast'", "learning_rate must be a number"),
        ("size = [32, 32, 3]", "size must be a positive integer, or HxW"),
        ("size = 0", "size must be an integer of at least 1, got 0"),
        ("channels = 2.5", "channels must be an integer or text"),
        ("channels = true", "channels must be an integer or text"),
        ("attempts = 0", "attempts must be"),
        ("prior = 'wavelet'", "unknown prior 'wavelet'; expected one of fourier, pixels"),
        ("objective = 'loss'", "unknown objective 'loss'"),
        ("steps = ", "is no TOML"),
        ("steps = 3\nsteps = 4", "is no TOML"),
        (b"\xff\xfe", "is no TOML"),
    ],
)
def test_an_error_names_the_key_and_the_value(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_recipe(written(tmp_path, text))


def test_a_missing_file_or_a_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no recipe file .*nowhere\.toml"):
        load_recipe(tmp_path / "nowhere.toml")
    with pytest.raises(OSError, match=str(tmp_path)):
        load_recipe(tmp_path)


def test_a_fields_kind_is_that_of_its_value() -> None:
    kinds = {field.name: kind(field) for field in fields(Gallery)}
    assert kinds["steps"] is kinds["batch_size"] is int
    assert kinds["learning_rate"] is float
    assert kinds["negative"] is kinds["fresh"] is bool
    assert kinds["layer"] is kinds["channels"] is kinds["size"] is kinds["model"] is str
