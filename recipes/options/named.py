"""The text form of a choice with options, for priors and methods: `NAME:OPTION=VALUE,...`."""

from __future__ import annotations

import inspect
import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from inverter_errors import BadInput

_LITERAL = re.compile(r"Literal\[[^\]]*\]")
_PIECE = re.compile(r"""(?:[^,\["']|\[[^\]]*\]|"(?:\\.|[^"\\])*"|'[^']*')+""")


def parse_options(text: str, what: str) -> tuple[str, dict[str, Any]]:
    """Parses a name with options; values are those of TOML, or short forms: `.5`, `none`, text without quotes.

    Args:
        text: `NAME` or `NAME:OPTION=VALUE,...`.
        what: the kind of choice, for errors.

    Returns:
        The name and the options.

    Raises:
        BadInput: for a part that is not OPTION=VALUE.

    Example:
        >>> parse_options("pixels:blur=.6, l2=1", "prior")
        ('pixels', {'blur': 0.6, 'l2': 1})
    """
    name, _, rest = text.partition(":")
    options = {}
    for piece in _PIECE.findall(rest):
        key, equals, value = piece.partition("=")
        if not equals or not key.strip():
            raise BadInput(f"{what} {text!r}: {piece.strip()!r} is not OPTION=VALUE")
        options[key.strip()] = _value(value.strip())
    return name.strip(), options


def write_options(name: str, options: Mapping[str, Any]) -> str:
    """The text form of a name with options, as `parse_options` reads it.

    Args:
        name: of the choice.
        options: option -> value.

    Example:
        >>> write_options("pixels", {"blur": 0.6, "l2": 1})
        'pixels:blur=0.6,l2=1'
    """
    return name + "".join(f"{',' if i else ':'}{key}={_text(value)}" for i, (key, value) in enumerate(options.items()))


def option_types(function: Callable[..., Any]) -> dict[str, str]:
    """The annotations of a function's parameters as text; an alias of `Literal[...]` is written out.

    Args:
        function: a function, or a class for its `__init__`.

    Example:
        >>> from inverter import Settings
        >>> option_types(Settings)["precision"], option_types(Settings)["views"]
        ("Literal['auto', 'float32', 'bfloat16']", 'int | None')
    """
    hints = get_type_hints(function.__init__ if isinstance(function, type) else function)  # type: ignore[misc]
    types = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints.get(name)
        parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        written = " | ".join("None" if part is NoneType else str(part).removeprefix("typing.") for part in parts)
        types[name] = written if "Literal[" in written else str(parameter.annotation)
    return types


def fits_type(value: Any, kind: str) -> bool:
    """True if a value may be meant for a parameter; the function itself checks its range and the choice of words.

    Args:
        value: from TOML, a text or Python.
        kind: the parameter's annotation as text; `Literal[...]` takes any text.

    Example:
        >>> fits_type("unit", "Literal['unit', 'signed'] | None"), fits_type(3, "Literal['int']")
        (True, False)
    """
    kind = _LITERAL.sub("str", kind)
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
    return value is not None or "None" in kind  # from Python: a module or a function


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
        return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")  # TOML knows no pairs of surrogates
    return "none" if value is None else type(value).__name__
