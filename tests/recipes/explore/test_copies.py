"""A recipe as Python, command line and TOML: each is read back as the same recipe."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import recipes
from recipes import DeepDream, Dictionary, Explain, Gallery, Invert, Mix, find_recipe
from recipes.cli.arguments import parse
from recipes.cli.recipe_file import load_recipe
from recipes.explore.copies import copies
from recipes.runner.base import Recipe

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
ADDRESSES = st.from_regex(r"[a-z][a-z0-9._#-]{0,8}", fullmatch=True)
SHARED = {
    "model": st.sampled_from(["builtin", "torchvision:squeezenet1_0", "my nets.py:make"]),
    "weights": WORDS,
    "size": st.one_of(st.integers(1, 512), st.tuples(st.integers(1, 512), st.integers(1, 512))),
    "steps": st.integers(1, 512),
    "seed": st.integers(0, 2**63 - 1),
    "learning_rate": st.floats(1e-9, 10),
    "augment": st.sampled_from(["none", "light", "auto"]),
    "prior": st.sampled_from(["pixels:blur=.5", "maco", {"name": "pixels", "total_variation": 4}]),
    "out": WORDS,
}
KINDS: dict[type[Recipe], dict[str, st.SearchStrategy[Any]]] = {
    Gallery: SHARED
    | {
        "layer": st.one_of(ADDRESSES, st.lists(ADDRESSES, min_size=1, max_size=3)),
        "channels": st.one_of(st.just("0-3,7"), st.integers(0, 99), st.lists(st.integers(0, 99), min_size=1)),
        "negative": st.booleans(),
        "images": st.lists(WORDS, min_size=1, max_size=2),
    },
    Mix: SHARED | {"attempts": st.integers(1, 8), "natural": st.sampled_from(["bn", "own", "-stats.json"])},
    Invert: SHARED,
    Explain: {"model": SHARED["model"], "method": st.lists(st.sampled_from(["saliency", "grad-cam"]), min_size=1)},
    Dictionary: {"positions": st.lists(st.sampled_from(["1,2", "0,0"]), min_size=1)},
    DeepDream: {"octave_scale": st.floats(1.01, 99), "steps": st.integers(1, 99), "natural": st.just("bn")},
}
REQUIRED: dict[type[Recipe], dict[str, st.SearchStrategy[Any]]] = {
    Mix: {"term": st.lists(st.floats(0.1, 9).map(lambda w: f"conv/3={-w}"), min_size=1, max_size=1)},
    Invert: {"image": WORDS, "layer": st.lists(ADDRESSES, min_size=1, max_size=2)},
    Explain: {"image": WORDS, "target": st.just("logit:golden retriever")},
    Dictionary: {"image": WORDS, "layer": ADDRESSES},
    DeepDream: {"image": WORDS, "layer": ADDRESSES},
}


def from_python(text: str, _folder: Path) -> Recipe:
    names: dict[str, Any] = {}
    exec(text.replace(".run()", ""), names)
    return names["report"]


def from_command(text: str, _folder: Path) -> Recipe:
    program, *words = shlex.split(text)
    assert program == "inverter"
    options = parse(words)
    recipe = find_recipe(options.pop("command"))
    assert recipe is not None
    return recipe(**options)


def from_toml(text: str, folder: Path) -> Recipe:
    file = folder / "recipe.toml"
    file.write_text(text, encoding="utf-8")
    return load_recipe(file)


READERS: dict[str, Callable[[str, Path], Recipe]] = {
    "python": from_python,
    "command": from_command,
    "toml": from_toml,
}


def same(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes make the same into the same folder: a list of one text is that text."""
    return type(one) is type(other) and one.settings() == other.settings() and one.out == other.out


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(data=st.data())
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_each_form_is_read_back_as_the_same_recipe(kind: type[Recipe], data: st.DataObject, tmp_path: Path) -> None:
    options = data.draw(st.fixed_dictionaries(REQUIRED.get(kind, {}), optional=KINDS[kind]))
    try:
        recipe = kind(**options)
    except ValueError:
        return
    for form, text in copies(recipe).items():
        assert same(READERS[form](text, tmp_path), recipe), (form, text)


def test_every_form_has_what_differs_from_the_defaults_alone() -> None:
    made = copies(Mix(term=["conv/3=-1", "conv/4"], size=(8, 9), out="it's"))
    assert made["command"] == "inverter mix --term conv/3=-1 --term conv/4 --size 8x9 --out 'it'\"'\"'s'"
    assert made["toml"].splitlines() == [
        'recipe = "mix"',
        'term = ["conv/3=-1", "conv/4"]',
        'size = "8x9"',
        'out = "it\'s"',
    ]
    assert made["python"].startswith("from recipes import Mix\n\nreport = Mix(\n    term=[")


def test_a_network_without_a_name_cannot_be_copied() -> None:
    with pytest.raises(ValueError, match="model was given from Python as Conv2d"):
        copies(Gallery(model=nn.Conv2d(3, 3, 3), layer="conv"))


def test_the_readers_know_every_recipe_that_pages_may_run() -> None:
    assert {kind.__name__ for kind in KINDS} <= set(recipes.__all__)
