"""The fields of recipes: their declaration, and the checks that several recipes share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, field
from pathlib import Path
from typing import Any

from inverter_errors import BadInput
from recipes.options.suggest import nearest

NETWORK, OPTIMISATION, MACHINE, OUTPUT = "network", "optimisation", "machine", "output"
"""Groups of fields that recipes share; the command line lists a recipe's own fields first, then these."""
LARGEST = 16384
"""Largest side of a picture in pixels: a larger one is a mistake that would only exhaust the memory."""
MOST = 1000
"""Largest number of pictures of one unit."""
MANY = 300
"""More pictures than these are made only where they are named, or by `all`."""


def option(default: Any, help: str, **more: Any) -> Any:
    """Declares a field of a recipe, with its description for the command line.

    Args:
        default: its default; `dataclasses.MISSING` for a required field.
        help: a noun phrase for `--help`, in lower case and without a full stop.
        **more: `repeat`: it may be given several times; `choices`: all its values; `was`: its name in the last release,
            which still works; `grows`: more of it only adds units, so that a run may continue with it;
            `alone`: the value of the flag without a value;
            `group`: one of those above, for a field that recipes share; `hidden`: a shared field that this recipe does
            not use, omitted from the command line and the manifest.

    Returns:
        What `dataclasses.field` returns.
    """
    return field(default=default, metadata={"help": help, **more})


def group_of(recipe: type, field: Field[Any]) -> str | None:
    """The group of a recipe's field, also if the recipe overrides a shared field; None for a field of its own."""
    for base in recipe.__mro__:
        known = getattr(base, "__dataclass_fields__", {}).get(field.name)
        if known is not None and "group" in known.metadata:
            group: str = known.metadata["group"]
            return group
    return None


def check_choice(field: Field[Any], value: object) -> None:
    """Raises BadInput if the field has choices and the value is none of them; it suggests similar ones."""
    if (choices := field.metadata.get("choices")) and value not in (*choices, field.default):
        raise BadInput(f"unknown {key_of(field)} {value!r}{nearest(str(value), choices)}")


def check_integer(name: str, value: object, least: int, most: int) -> None:
    """Raises BadInput unless the value is an integer from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadInput(f"{name} must be an integer of at least {least}, got {value!r}")
    if value > most:
        raise BadInput(f"{name} must be at most {most}, got {value!r}")


def check_many(count: int, field: str, what: str) -> None:
    """Raises BadInput if a run of a field's default would make many pictures: their number may be a surprise.

    Args:
        count: of the pictures.
        field: that was left out.
        what: the pictures, in the plural.
    """
    if count > MANY:
        raise BadInput(f"this makes {count:,} pictures, of {what}: set {field} to those you want, or to all")


def check_out(out: str | Path) -> None:
    """Raises BadInput for a text that cannot be the name of a folder or file."""
    if not str(out) or "\0" in str(out):
        raise BadInput(f"out is {str(out)!r}; expected a folder" if str(out) else "out is empty; expected a folder")


def key_of(field: Field[Any]) -> str:
    """A field's name as TOML key and flag: without the underscore that Python requires after a keyword (`class_`)."""
    return field.name.removesuffix("_")


def texts(value: str | Path | Sequence[str]) -> tuple[str, ...]:
    """One text or several, as a tuple.

    Example:
        >>> texts("a"), texts(["a", "b"])
        (('a',), ('a', 'b'))
    """
    return (value,) if isinstance(value, str | Path) else tuple(value)  # type: ignore[return-value]
