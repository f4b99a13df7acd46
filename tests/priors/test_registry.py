"""The names of the priors, and what the package shows of itself."""

import pkgutil

import pytest

import priors
from priors import Maco, PlugAndPlay, Prior, list_priors
from priors.registry import PRIORS
from recipes.options.priors import PriorChoice


def test_every_public_prior_has_a_name() -> None:
    assert list_priors() == sorted(PRIORS)
    public = {found for name in priors.__all__ if isinstance(found := getattr(priors, name), type)}
    assert {kind for kind in public if issubclass(kind, Prior)} - {Prior} == set(PRIORS.values())
    assert PRIORS["maco"] is Maco
    assert PRIORS["plug-and-play"] is PlugAndPlay


def test_recipes_take_the_same_names() -> None:
    assert [str(PriorChoice(name)) for name in list_priors()] == list_priors()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("p*", ["pixels", "plug-and-play", "pyramid"]),
        ("*-*", ["deep-image", "plug-and-play"]),
        ("?an", ["gan"]),
        ("[cg]*", ["cppn", "gan"]),
        ("image", ["deep-image"]),
        ("an", ["gan", "plug-and-play"]),
        ("image*", []),
    ],
)
def test_a_pattern_filters_and_a_plain_text_is_a_substring(pattern: str, names: list[str]) -> None:
    assert list_priors(pattern) == names


def test_completion_shows_the_public_names_and_none_hides_a_submodule() -> None:
    assert dir(priors) == sorted(priors.__all__)
    assert all(hasattr(priors, name) for name in priors.__all__)
    assert not {module.name for module in pkgutil.iter_modules(priors.__path__)} & set(priors.__all__)
