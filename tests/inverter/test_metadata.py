"""What is known of own networks, from a factory, a file or the user: input size, normalisation, names of classes."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from inverter import Model, load_model
from inverter.metadata import as_categories, as_input_size, attributes
from inverter_errors import GuessedSizeWarning

FACTORIES = """
from torch import nn
import inverter

def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def described():
    return net(), {"input_size": 32, "normalize": "half", "categories": ["a", "b", "c", "d"]}

def in_part():
    return net(), {"input_size": "24x40", "categories": None}

def a_model():
    return inverter.Model(net(), normalize="none", input_size=(20, 20), categories=("x", "y"))

def a_model_without_size():
    return inverter.Model(net())

def by_attributes():
    made = net()
    made.input_size, made.normalize = (3, 16, 16), "half"
    return made
by_attributes.categories = ["k", "l"]

def attributes_of_another_meaning():
    made = net()
    made.input_size, made.normalize, made.categories = "large", True, "animals"
    return made

def unknown():
    return net(), {"size": 32}

def wrong():
    return net(), {"input_size": -1}

def pair():
    return net(), net()
"""


@pytest.fixture
def factories(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(FACTORIES)
    return path


def said(model: Model) -> tuple[Any, ...]:
    return model.input_size, model.size_from, model.mean[0], model.categories


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        ("net", ((224, 224), "guess", 0.485, ())),
        ("described", ((32, 32), "network", 0.5, ("a", "b", "c", "d"))),
        ("in_part", ((24, 40), "network", 0.485, ())),
        ("a_model", ((20, 20), "network", 0.0, ("x", "y"))),
        ("a_model_without_size", ((224, 224), "guess", 0.485, ())),
        ("by_attributes", ((16, 16), "network", 0.5, ("k", "l"))),
        ("attributes_of_another_meaning", ((224, 224), "guess", 0.485, ())),
    ],
)
def test_a_factory_may_say_what_it_knows(factories: Path, factory: str, expected: tuple[Any, ...]) -> None:
    assert said(load_model(f"{factories}:{factory}")) == expected


def test_what_the_user_says_takes_precedence(factories: Path) -> None:
    model = load_model(f"{factories}:described", None, "none", "cpu", "48x64", ["p", "q"])
    assert said(model) == ((48, 64), "network", 0.0, ("p", "q"))
    again = load_model(model, input_size=8, categories=["r"])
    assert said(again) == ((8, 8), "network", 0.0, ("r",))
    assert said(model)[0] == (48, 64)
    assert again.module is model.module


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("unknown", r"unknown\(\) of .* says 'size' of its network; expected any of input_size, normalize, categories"),
        ("wrong", r"wrong\(\) of .*: input_size must be a positive integer.* got -1"),
        ("pair", r"returned tuple, expected an nn.Module, \(nn.Module, dict\) or a Model"),
    ],
)
def test_a_factory_that_says_something_else_is_reported(factories: Path, factory: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_model(f"{factories}:{factory}")


def test_a_module_from_python_has_attributes_too() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    assert attributes(net) == {}
    net.input_size, net.categories = 40, ["a"]
    assert load_model(net).input_size == (40, 40)
    assert load_model(nn.DataParallel(net)).categories == ("a",)
    assert load_model(net, input_size=8).input_size == (8, 8)


@pytest.mark.parametrize(
    ("given", "size"),
    [(32, (32, 32)), ("32", (32, 32)), ("24x40", (24, 40)), (" 24 X 40 ", (24, 40)), ([24, 40], (24, 40))],
)
def test_an_input_size_in_any_form(given: Any, size: tuple[int, int]) -> None:
    assert as_input_size(given) == size


@pytest.mark.parametrize("given", [0, "0", "", "x", "32x", "1x2x3", (1, 2, 3), -4, 1.5, True, None, "3.5"])
def test_what_is_no_input_size_is_reported(given: Any) -> None:
    with pytest.raises(ValueError, match="input_size must be"):
        as_input_size(given)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "ant\nbee\n\n"),
        ("names", "\ufeffant\r\nbee"),
        ("list.json", '["ant", "bee"]'),
        ("objects.json", '[{"index": 1, "name": "bee"}, {"index": 0, "wnid": "n1", "name": "ant"}]'),
        ("keras.json", '{"0": ["n1", "ant"], "1": ["n2", "bee"]}'),
        ("config.json", '{"id2label": {"1": "bee", "0": "ant"}, "label2id": {}}'),
    ],
)
def test_categories_from_files_of_many_forms(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert as_categories(tmp_path / name) == ("ant", "bee")


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '[{"index": 1, "name": "bee"}]', '{"a": "b"}', "3", "null"])
def test_a_file_without_categories_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.json").write_text(text)
    with pytest.raises(ValueError, match="holds no names of classes"):
        as_categories(tmp_path / "names.json")


def test_categories_that_are_none_are_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file of categories 'nowhere.txt'"):
        load_model(nn.Conv2d(3, 1, 1), categories="nowhere.txt")
    for given in ([1, 2], 3):
        with pytest.raises(TypeError, match="must be names or a file"):
            as_categories(given)  # type: ignore[arg-type]


def test_the_thousand_of_imagenet(shared_data: Path) -> None:
    names = as_categories(shared_data / "imagenet_classes.json")
    assert len(names) == 1000
    assert [names[0], names[207]] == [
        json.loads((shared_data / "imagenet_classes.json").read_text())[i]["name"] for i in (0, 207)
    ]


def test_a_guess_that_is_used_is_reported_and_a_known_size_is_not() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    guess = load_model(net)
    assert guess.size_for((16, 16)) == (16, 16)
    with pytest.warns(GuessedSizeWarning, match="the input size of module is not known: using 224x224; set input_size"):
        assert guess.size_for() == (224, 224)
    assumed = guess.assuming(32)
    assert (assumed.size_for(), assumed.size_from) == ((32, 32), "pictures")
    assert guess.assuming(None) is guess
    known = load_model(net, input_size=8)
    assert known.assuming(32) is known


def test_a_guess_that_fails_says_so() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
    with pytest.warns(GuessedSizeWarning), pytest.raises(ValueError, match="its own size is not known: set input_size"):
        load_model(net).shapes([""])
    with pytest.raises(ValueError, match="its own size is 32x32"):
        load_model(net, input_size=32).shapes([""], (40, 40))
