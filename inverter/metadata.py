"""What is known of a network besides its weights: input size, normalisation, and the names of its classes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from inverter.input_values import as_normalization, as_show_channels, as_value_range, in_values
from inverter.isolation.wrappers import unwrap
from inverter.models import Model
from inverter.text import as_text_tower, as_tokenizer, has_towers, towers
from inverter_errors import BadInput, BadType, MissingFile
from priors.base import as_size

Known = dict[str, Any]
"""Any of the arguments `weights` and `KEYS` of `Model`; or `tokenizer`, of a network with a text tower in it (see
`with_text`)."""
ATTRIBUTES = ("input_size", "normalize", "categories", "value_range", "show_channels")
"""What a network may say of itself, as attributes."""
KEYS = (*ATTRIBUTES, "text", "tokenizer")
"""What a factory may say of its network."""

InputSize = int | str | Sequence[int]
"""Pixels: one number, (height, width), or text: H or HxW."""
Categories = str | Path | Sequence[str]
"""Names of the classes in the order of the outputs, or the file that has them."""


def as_input_size(size: InputSize) -> tuple[int, int]:
    """An input size as (height, width) in pixels.

    Args:
        size: one number for a square, (height, width), or text: `H` or `HxW`.

    Raises:
        BadInput: for anything else.

    Example:
        >>> as_input_size(32), as_input_size("48x64")
        ((32, 32), (48, 64))
    """
    sides: Any = size
    if isinstance(size, str) and (found := re.fullmatch(r"\s*(\d{1,9})\s*(?:[xX]\s*(\d{1,9}))?\s*", size)):
        sides = int(found[1]), int(found[2] or found[1])
    try:
        if isinstance(sides, str | bool):
            raise BadInput(f"{sides!r} is no size")
        return as_size(tuple(sides) if isinstance(sides, Sequence) else sides)
    except BadInput:
        raise BadInput(
            f"input_size must be a positive integer, a pair (height, width), or text as 32 or 48x64; got {size!r}"
        ) from None


def as_categories(categories: Categories) -> tuple[str, ...]:
    """The names of classes, in the order of the network's outputs.

    Args:
        categories: the names, or a file of them: one a line, or JSON: a list of names or of objects with `index` and
            `name`, or an object index -> name (also below the key `id2label`, as in Hugging Face's `config.json`).

    Raises:
        MissingFile: if there is no such file.
        BadInput: for a file without names, or with indices that are not 0, 1, 2, ...
        BadType: for names that are no text.
    """
    if isinstance(categories, str | Path):
        return _read_names(Path(categories))
    names = tuple(categories) if isinstance(categories, Sequence) else ()
    if not all(isinstance(name, str) for name in names) or not isinstance(categories, Sequence):
        raise BadType(f"categories must be names or a file of them, got {_shown(categories)}")
    return names


def _read_names(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise MissingFile(f"no file of categories {str(path)!r}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = _names_of(json.loads(text)) if path.suffix.lower() == ".json" else [*map(str.strip, text.splitlines())]
    except (ValueError, KeyError, TypeError, RecursionError):
        names = []
    while names and not names[-1]:
        names.pop()
    if not names or not all(isinstance(name, str) for name in names):
        raise BadInput(
            f"{path} holds no names of classes: expected one name a line, or JSON: a list of names or of objects with "
            "index and name, or an object index -> name; indices 0, 1, 2, ..."
        )
    return tuple(names)


def _names_of(content: Any) -> list[str]:
    """The names in JSON: see `as_categories`.

    Raises:
        ValueError: for indices that are not 0, 1, 2, ...
        KeyError: for an object without index or name.
        TypeError: for other content.
    """
    if isinstance(content, Mapping):
        content = content.get("id2label", content)
        pairs = [(int(index), name[-1] if isinstance(name, list) else name) for index, name in content.items()]
    elif all(isinstance(each, Mapping) for each in content):
        pairs = [(int(each["index"]), each["name"]) for each in content]
    else:
        return list(content)
    if sorted(index for index, _ in pairs) != list(range(len(pairs))):
        raise ValueError("indices are not 0, 1, 2, ...")
    return [name for _, name in sorted(pairs)]


def described(made: object, factory: object, where: str) -> tuple[nn.Module, Known]:
    """A factory's result as a network, and what it says of it.

    Args:
        made: an `nn.Module`, (`nn.Module`, dict with any of `KEYS`), or a `Model`.
        factory: that made it; attributes named as `ATTRIBUTES`, of the network or of this, count where the dict has
            none.
        where: names the factory, for errors.

    Raises:
        BadInput: for another result, or a dict with other keys or bad values.
    """
    given: Mapping[str, Any] = {}
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], Mapping):
        made, given = made
    if isinstance(made, Model):
        known: Known = {"normalize": in_values(made.mean, made.std, made.value_range), "weights": made.weights}
        known |= {"value_range": made.value_range, "show_channels": made.show_channels}
        known |= {"input_size": made.input_size} if made.size_from == "network" else {}
        known |= {"categories": made.categories} if made.categories else {}
        known |= {"text": made.text} if made.text else {}
        made = made.module
    elif isinstance(made, nn.Module):
        known = attributes(made, factory)
    else:
        raise BadInput(f"{where} returned {type(made).__name__}, expected an nn.Module, (nn.Module, dict) or a Model")
    if other := [key for key in given if key not in KEYS]:
        raise BadInput(f"{where} says {other[0]!r} of its network; expected any of {', '.join(KEYS)}")
    try:
        return made, known | {key: _READ[key](value) for key, value in given.items() if value is not None}
    except (BadInput, BadType, MissingFile, TypeError, ValueError) as error:
        raise BadInput(f"{where}: {error}") from error


def attributes(module: nn.Module, factory: object = None) -> Known:
    """What attributes of a network (or its factory) say: `ATTRIBUTES`, and `tokenizer` of one with a text tower.

    Values of another form mean something else.
    """
    known: Known = {}
    if has_towers(unwrap(module)) and callable(tokenizer := getattr(unwrap(module), "tokenizer", None)):
        known["tokenizer"] = tokenizer
    for source in (factory, unwrap(module)):
        for key in ATTRIBUTES:
            value = getattr(source, key, None)
            if value is None or callable(value) or (key == "categories" and isinstance(value, str)):
                continue
            try:
                known[key] = _READ[key](value[-2:] if key == "input_size" and _of_three(value) else value)
            except (BadInput, BadType, TypeError, ValueError):
                continue
    return known


def with_text(module: nn.Module, known: Known) -> tuple[nn.Module, Known]:
    """A network and what is known of it; of one with an image and a text tower the image tower, and `text`.

    Args:
        module: the network, with its weights.
        known: of it.

    Raises:
        BadInput: for a tokenizer of a network without a text tower.
    """
    tokenizer = known.pop("tokenizer", None)
    if "text" in known or not (tokenizer or has_towers(unwrap(module))):
        return module, known
    module, text = towers(unwrap(module), tokenizer)
    return module, known | {"text": text}


def _normalization(normalize: Any) -> Any:
    """A normalisation as it is given, once it is known to be one: the network's channels complete it."""
    as_normalization(normalize)
    return normalize


_READ: Mapping[str, Any] = {
    "input_size": as_input_size,
    "normalize": _normalization,
    "categories": as_categories,
    "value_range": as_value_range,
    "show_channels": as_show_channels,
    "text": as_text_tower,
    "tokenizer": as_tokenizer,
}


def _of_three(size: object) -> bool:
    """True for (channels, height, width), as timm writes sizes."""
    return isinstance(size, tuple | list) and len(size) == 3


def _shown(value: object) -> str:
    return f"{type(value).__name__} {str(value)[:60]!r}"
