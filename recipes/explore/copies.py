"""A recipe as Python, as a command and as a TOML file, which make the same pictures."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.options.fields import group_of, key_of
from recipes.options.priors import PriorChoice

if TYPE_CHECKING:
    from recipes.runner.base import Recipe


def copies(recipe: Recipe) -> dict[str, str]:
    """A recipe in three forms, each with what differs from the recipe's defaults alone.

    Args:
        recipe: whose values are texts and numbers: the network and its weights have names.

    Returns:
        `python`, `command` and `toml`: a call, a command line for a POSIX shell, and the content of a recipe file.

    Raises:
        BadInput: for a value that has no name, such as a network that was given from Python.

    Example:
        >>> from recipes import Gallery
        >>> made = copies(Gallery(layer="features.stem", channels="0-3", negative=True))
        >>> made["command"]
        'inverter gallery --layer features.stem --channels 0-3 --negative'
        >>> print(made["toml"])
        recipe = "gallery"
        layer = "features.stem"
        channels = "0-3"
        negative = true
        <BLANKLINE>
    """
    known = [(field, _plain(field, getattr(recipe, field.name))) for field in _own_first(recipe)]
    given = [(field, value) for field, value in known if value != field.default]
    return {"python": _python(recipe, given), "command": _command(recipe, given), "toml": _toml(recipe, given)}


def _own_first(recipe: Recipe) -> list[Field[Any]]:
    """The fields that users know: the network, then the recipe's own, those that recipes share, the output folder."""

    def order(field: Field[Any]) -> tuple[bool, bool, bool]:
        return field.name not in ("model", "weights"), field.name == "out", group_of(type(recipe), field) is not None

    return sorted((field for field in fields(recipe) if not field.metadata.get("hidden")), key=order)


def _plain(field: Field[Any], value: Any) -> Any:
    """A value as text, a number, or a list of these; the default of a field as it is."""
    if value is None or value == field.default or isinstance(value, bool | int | float):
        return value
    if field.name in ("size", "input_size") and not isinstance(value, str):
        return "x".join(map(str, value))
    if field.name == "prior":
        if isinstance(value, list | tuple):
            return [_plain(field, one) for one in value]
        return value if isinstance(value, str) else str(PriorChoice.parse(value))
    if isinstance(value, Mapping) and field.metadata.get("networks"):
        return [f"{name}={one}" for name, one in value.items()]
    if isinstance(value, list | tuple | range):
        plain = [_plain_one(field, one) for one in value]
        return plain if field.metadata.get("repeat") else ",".join(map(str, plain))
    return _plain_one(field, value)


def _plain_one(field: Field[Any], value: Any) -> str | int | float:
    if isinstance(value, str | int | float):
        return value
    if hasattr(value, "__fspath__"):
        return str(value)
    kind = type(value).__name__
    raise BadInput(f"{key_of(field)} was given from Python as {kind}: only what has a name can be copied")


def _python(recipe: Recipe, given: list[tuple[Field[Any], Any]]) -> str:
    name = type(recipe).__name__
    rows = "".join(f"    {field.name}={_literal(value)},\n" for field, value in given)
    return f"from recipes import {name}\n\nreport = {name}(\n{rows}).run()\n"


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _command(recipe: Recipe, given: list[tuple[Field[Any], Any]]) -> str:
    words = ["inverter", recipe.name]
    for field, value in given:
        flag = "--" + key_of(field).replace("_", "-")
        for one in value if isinstance(value, list) else [value]:
            if one is True:
                words.append(flag)
            elif str(one).startswith("-"):  # no flag of its own
                words.append(f"{flag}={one}")
            else:
                words += [flag, str(one)]
    return shlex.join(words)


def _toml(recipe: Recipe, given: list[tuple[Field[Any], Any]]) -> str:
    rows = [f"{key_of(field)} = {_value(value)}" for field, value in given]
    return "\n".join([f"recipe = {_value(recipe.name)}", *rows, ""])


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")
    return repr(value)
