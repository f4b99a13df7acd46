"""One way to write a choice with options, for every recipe: `NAME:OPTION=VALUE,...`."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from inverter_errors import BadInput

_PIECE = re.compile(r"""(?:[^,\["']|\[[^\]]*\]|"[^"]*"|'[^']*')+""")


def parse_options(text: str, what: str) -> tuple[str, dict[str, Any]]:
    """The name and the options of a text; values as TOML writes them, or as people do: `.5`, `none`, no quotes.

    Args:
        what: kind of thing that is named, for errors.

    Raises:
        BadInput: for a piece that is no OPTION=VALUE.

    Example:
        >>> parse_options("pixels:blur=.6, l2=1", "prior")
        ('pixels', {'blur': 0.6, 'l2': 1})
    """
    name, _, rest = text.partition(":")
    options = {}
    for piece in _PIECE.findall(rest):
        key, equals, value = piece.partition("=")
        if not equals or not key.strip():
            raise BadInput(f"{what} {text!r}: {piece.strip()!r} is no OPTION=VALUE")
        options[key.strip()] = _value(value.strip())
    return name.strip(), options


def write_options(name: str, options: Mapping[str, Any]) -> str:
    """The text that `parse_options` reads.

    Example:
        >>> write_options("pixels", {"blur": 0.6, "l2": 1})
        'pixels:blur=0.6,l2=1'
    """
    return name + "".join(f"{',' if i else ':'}{key}={_text(value)}" for i, (key, value) in enumerate(options.items()))


def fits_type(value: Any, kind: str) -> bool:
    """True if a value may be meant for a parameter of this annotation; its range is the callee's own business."""
    if isinstance(value, bool):
        return "bool" in kind
    if isinstance(value, int):
        return "int" in kind or "float" in kind
    if isinstance(value, float):
        return "float" in kind
    if isinstance(value, str):
        return "str" in kind or "Path" in kind
    if isinstance(value, list | tuple):
        return "Sequence" in kind or "tuple" in kind
    return value is not None or "None" in kind  # a module or a function, from Python


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return float(text)
    except ValueError:
        return None if text.lower() == "none" else text


def _text(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str | int | float | bool | list | tuple):
        return json.dumps(value)
    return "none" if value is None else type(value).__name__
