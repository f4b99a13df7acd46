"""The names of the objectives, and what the package shows of itself."""

import inspect
import pkgutil
from typing import get_args

import pytest

import objectives
from objectives import DISTANCES, Distance, Objective, list_objectives
from objectives.registry import OBJECTIVES


def test_every_name_is_a_public_function_that_builds_an_objective() -> None:
    assert list_objectives() == sorted(OBJECTIVES)
    for name in list_objectives():
        assert getattr(objectives, name) is OBJECTIVES[name]
        assert OBJECTIVES[name].__annotations__["return"] == Objective.__name__


def test_every_public_function_that_builds_an_objective_from_scratch_is_listed() -> None:
    builds = {
        name
        for name in objectives.__all__
        if inspect.isfunction(found := getattr(objectives, name))
        and found.__annotations__["return"] == Objective.__name__
        and "objective" not in inspect.signature(found).parameters  # `diverse` modifies one
    }
    assert builds == set(list_objectives())


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("log*", ["logit"]),
        ("*o*t*", ["logit", "softmax"]),
        ("l[ao]*", ["layer", "logit"]),
        ("?ode", ["code"]),
        ("pixels", ["known_pixels"]),
        (
            "n",
            [
                "attention",
                "attention_head",
                "centred_direction",
                "channel",
                "direction",
                "distribution",
                "known_pixels",
                "natural",
                "neuron",
            ],
        ),
        ("LOGIT", []),
        ("pixels*", []),
    ],
)
def test_a_pattern_filters_and_a_plain_text_is_a_substring(pattern: str, names: list[str]) -> None:
    assert list_objectives(pattern) == names


def test_the_distances_are_those_of_the_type() -> None:
    assert get_args(Distance) == DISTANCES == ("l2", "cosine", "l1")


def test_completion_shows_the_public_names_and_none_hides_a_submodule() -> None:
    assert dir(objectives) == sorted(objectives.__all__)
    assert all(hasattr(objectives, name) for name in objectives.__all__)
    assert not {module.name for module in pkgutil.iter_modules(objectives.__path__)} & set(objectives.__all__)
