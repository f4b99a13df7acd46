"""Several networks at once, as users write them: `a=SPEC`, `b=SPEC`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inverter_errors import BadInput

KEYS = ("model", "weights", "normalize")
"""Fields that have a value for each of several networks."""
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.+)", re.ASCII | re.DOTALL)


def by_network(value: Any, key: str) -> Any:
    """A value for one network as it is, and values for several by their names.

    Args:
        value: a text or an object for one network; texts `NAME=VALUE`, or a mapping, for several.
        key: of the field, for errors.

    Raises:
        BadInput: for several texts without names, or with the same one.

    Example:
        >>> by_network("builtin", "model"), by_network(["a=builtin", "b=timm:resnet18"], "model")
        ('builtin', {'a': 'builtin', 'b': 'timm:resnet18'})
    """
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        return value
    if len(value) == 1 and not _NAMED.fullmatch(value[0]):
        return value[0]
    found: dict[str, str] = {}
    for text in value:
        named = _NAMED.fullmatch(text)
        if named is None:
            raise BadInput(f"{key}: got {text!r} of several; name the network of each, as in a={text}")
        if named[1] in found:
            raise BadInput(f"{key}: got two values for network {named[1]}; give each network a name of its own")
        found[named[1]] = named[2]
    return found


def networks(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields `KEYS` as `load_model` takes them; of several networks, a single weights file may be named as well.

    Args:
        options: any of the fields, by name.

    Raises:
        BadInput: as `by_network`.
    """
    found = {key: by_network(options[key], key) for key in KEYS if key in options}
    if isinstance(found.get("model"), Mapping):
        for key, value in found.items():
            if isinstance(value, str) and _NAMED.fullmatch(value):
                found[key] = by_network([value], key)
    return found


def written(value: Any) -> Any:
    """A value for one or several networks as the manifest has it: JSON, or a list of texts `NAME=VALUE`."""
    if networks := getattr(value, "networks", None):  # an ensemble that is loaded already
        value = networks
    if isinstance(value, Mapping):
        return [f"{name}={written(one)}" for name, one in value.items()]
    if value is None or isinstance(value, str | list | tuple):
        return list(value) if isinstance(value, tuple) else value
    return str(value) if isinstance(value, Path) else str(getattr(value, "spec", "module"))


def from_python(model: Any) -> bool:
    """True if what the manifest has of `model` stands for a module that was given from Python."""
    return any(str(text).rpartition("=")[2] == "module" for text in (model if isinstance(model, list) else [model]))
