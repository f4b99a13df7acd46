"""Recipe files: the keys of a TOML file are the fields of a recipe, as the flags of the command line are."""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from inverter_errors import BadInput, MissingFile
from recipes import find_recipe, list_recipes
from recipes.options.fields import key_of
from recipes.options.priors import PriorChoice
from recipes.options.suggest import nearest
from recipes.runner.base import Recipe

LONGEST = 1 << 20
"""Bytes of a recipe file, at most."""

_KINDS: dict[str, type] = {"bool": bool, "int": int, "float": float}


def kind(field: Field[Any]) -> type:
    """The type of a field's value on the command line: bool, int, float, or str for everything else."""
    return _KINDS.get(str(field.type).split(" ")[0], str)


def load_recipe(path: str | Path, changes: Sequence[str] = (), **overrides: Any) -> Recipe:
    """A recipe from a TOML file: `recipe = "gallery"` and the recipe's fields as keys.

    Args:
        path: of the file.
        changes: `KEY=VALUE`, the value as in TOML or as plain text; they take precedence over the file's keys.
        overrides: fields that take precedence over the file's.

    Returns:
        The recipe, not run yet.

    Raises:
        MissingFile: no such file.
        BadInput: text that is no TOML, an unknown recipe or key (with near names), a value of another type.

    A file may be:

        recipe = "gallery"
        model = "builtin"
        layer = ["features.stem"]
        channels = "0-7"
        out = "gallery"

        [prior]
        name = "pixels"
        total_variation = 4
    """
    if "\0" in str(path):
        raise MissingFile(f"no recipe file {str(path)!r}")
    try:
        with Path(path).open("rb") as file:
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise BadInput(f"{path} is no recipe: it has more than {LONGEST} bytes")
        data = tomllib.loads(text.decode())
    except FileNotFoundError:
        raise MissingFile(f"no recipe file {str(path)!r}") from None
    except RecursionError:
        raise BadInput(f"{path} is no recipe: it is nested too deeply") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no TOML: {error}") from error
    origin = dict.fromkeys(data, str(path))
    for change in changes:
        for key, value in _change(change).items():
            data[key], origin[key] = value, "--set"
    unnamed = "" if "recipe" in data else "; the file names no recipe, so it is taken for a gallery"
    name = data.pop("recipe", "gallery")
    recipe = find_recipe(str(name))
    if recipe is None:
        raise BadInput(f"{path}: unknown recipe {name!r}{nearest(str(name), list_recipes())}")
    known = {key_of(field): field for field in fields(recipe) if not field.metadata.get("hidden")}
    renamed = {field.metadata["was"]: key for key, field in known.items() if "was" in field.metadata}
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key in renamed:
            message = f"{origin[key]}: {key} is now {renamed[key]}; the old name goes with the next release"
            warnings.warn(message, FutureWarning, stacklevel=2)
            origin[renamed[key]] = origin[key]
            key = renamed[key]
        if key not in known:
            raise BadInput(f"{origin[key]}: unknown key {key!r}{nearest(key, known)}{unnamed}")
        values[known[key].name] = _checked(f"{origin[key]}: {key}", known[key], value)
    given = values | overrides
    if missing := [key for key, field in known.items() if field.default is MISSING and field.name not in given]:
        raise BadInput(f"{path}: {name} needs the keys {', '.join(missing)}")
    return recipe(**given)


def _change(text: str) -> dict[str, Any]:
    """A change of a recipe file, `KEY=VALUE`, as the file would have it.

    Example:
        >>> _change("steps=16"), _change("prior=pixels"), _change('layer=["a", "b"]')
        ({'steps': 16}, {'prior': 'pixels'}, {'layer': ['a', 'b']})
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key.replace("_", "").isalnum():
        raise BadInput(f"--set {text!r}: expected KEY=VALUE, e.g. steps=16")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:
        return {key: value}  # text without its quotes


def _checked(where: str, field: Field[Any], value: Any) -> Any:
    if field.name == "prior":
        tables = [value] if isinstance(value, dict) else value  # `[prior]`, or several as `[[prior]]`
        if isinstance(tables, list) and any(isinstance(table, dict) for table in tables):
            texts = tuple(str(PriorChoice.parse(table)) for table in tables)
            value = texts[0] if value is not tables else list(texts)
    if isinstance(value, dict) and (field.name == "with_" or field.metadata.get("networks")):  # `[with]`, `[model]`
        return value
    expected = kind(field)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if expected is str and isinstance(value, list) and "Sequence" in str(field.type):
        return tuple(value)
    if expected is str and isinstance(value, int) and " int" in str(field.type) and not isinstance(value, bool):
        return value
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        integers = expected is str and " int" in str(field.type)
        raise BadInput(f"{where} must be {'an integer or ' * integers}{_NAMES[expected]}, got {value!r}")
    return value


_NAMES: dict[type, str] = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
