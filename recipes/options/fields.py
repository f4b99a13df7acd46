"""A recipe's fields as its users give them, and the checks that many of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, field
from pathlib import Path
from typing import Any

from inverter_errors import BadInput

NETWORK, OPTIMISATION, MACHINE, OUTPUT = "network", "optimisation", "machine", "output"
"""Groups of fields that recipes share; the command line shows a recipe's own fields first, then these."""
LARGEST = 16384
"""Pixels of a picture's side, at most: more are a mistake, which should not end in a machine without memory."""
MOST = 1000
"""Pictures of one unit, at most."""


def option(default: Any, help: str, **more: Any) -> Any:
    """A recipe's field with the sentence that the command line shows for it.

    Args:
        default: its value where the user gives none; `dataclasses.MISSING` for a field that must be given.
        help: the sentence.
        more: `repeat`: it may be given several times; `choices`: all values that it may have; `was`: its name in the
            last release, which still works; `group`: one of those above, for a field that recipes share; `hidden`: a
            shared field that means something to other recipes alone, kept from users and from the manifest.
    """
    return field(default=default, metadata={"help": help, **more})


def group_of(recipe: type, field: Field[Any]) -> str | None:
    """The group of a recipe's field, also where the recipe gives a shared field another default; None for its own."""
    for base in recipe.__mro__:
        known = getattr(base, "__dataclass_fields__", {}).get(field.name)
        if known is not None and "group" in known.metadata:
            group: str = known.metadata["group"]
            return group
    return None


def check_integer(name: str, value: object, least: int, most: int) -> None:
    """Raises a BadInput unless the value is an integer from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadInput(f"{name} must be an integer of at least {least}, got {value!r}")
    if value > most:
        raise BadInput(f"{name} must be at most {most}, got {value!r}")


def check_out(out: str | Path) -> None:
    """Raises a BadInput for what can be the name of no folder and no file."""
    if not str(out) or "\0" in str(out):
        raise BadInput(f"out is {str(out)!r}; expected a folder" if str(out) else "out is empty; expected a folder")


def key_of(field: Field[Any]) -> str:
    """A field's name as TOML key and flag: without the underscore that Python wants after a keyword (`class_`)."""
    return field.name.removesuffix("_")


def texts(value: str | Path | Sequence[str]) -> tuple[str, ...]:
    """One text or several, as several.

    Example:
        >>> texts("a"), texts(["a", "b"])
        (('a',), ('a', 'b'))
    """
    return (value,) if isinstance(value, str | Path) else tuple(value)  # type: ignore[return-value]
