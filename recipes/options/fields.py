"""A recipe's fields as its users give them, and the checks that many of them share."""

from __future__ import annotations

from dataclasses import Field, field
from pathlib import Path
from typing import Any

from inverter_errors import BadInput

LARGEST = 16384
"""Pixels of a picture's side, at most: more are a mistake, which should not end in a machine without memory."""
MOST = 1000
"""Pictures of one unit, at most."""


def option(default: Any, help: str, **more: Any) -> Any:
    """A recipe's field with the sentence that the command line shows for it.

    Args:
        more: `repeat`: it may be given several times; `choices`: all that it may be; `hidden`: a field that every
            recipe has and that means nothing to this one, kept from users and from the manifest.
    """
    return field(default=default, metadata={"help": help, **more})


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Raises a BadInput for what is no whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadInput(f"{name} must be a whole number of at least {least}, got {value!r}")
    if value > most:
        raise BadInput(f"{name} must be at most {most}, got {value!r}")


def check_out(out: str | Path) -> None:
    """Raises a BadInput for what can be the name of no folder and no file."""
    if not str(out) or "\0" in str(out):
        raise BadInput(f"out is {str(out)!r}; expected a folder" if str(out) else "out is empty; expected a folder")


def key_of(field: Field[Any]) -> str:
    """A field's name as TOML key and flag: without the underscore that Python wants after a keyword (`class_`)."""
    return field.name.removesuffix("_")
