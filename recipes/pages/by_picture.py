"""Units sorted by the picture that was given: what every page shows that has a row for each photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.pages.html import picture_url

ORIGINAL = "original"
"""The objective that the manifest gives to a picture that was given."""

Units = Sequence[Mapping[str, Any]]


def by_picture(units: Units) -> list[dict[str, Any]]:
    """For each picture, in order of appearance: its name, its own unit if it is there, and those made of it.

    Example:
        >>> by_picture([{"image": "cat", "objective": "original"}, {"image": "cat", "objective": "code"}])[0]["units"]
        [{'image': 'cat', 'objective': 'code'}]
    """
    found: dict[str, dict[str, Any]] = {}
    for unit in units:
        name = str(unit.get("image"))
        entry = found.setdefault(name, {"name": name, "original": None, "units": []})
        if unit.get("objective") != ORIGINAL:
            entry["units"].append(unit)
        elif entry["original"] is None:
            entry["original"] = unit
    return list(found.values())


def seen(units: Units, key: str) -> list[str]:
    """The different values of a key in order of appearance, which is the order in which they were asked for."""
    return list(dict.fromkeys(str(unit.get(key)) for unit in units))


def extra_urls(unit: Mapping[str, Any]) -> dict[str, str | None]:
    """Where the page finds the files beside a unit's picture, by what they are.

    Example:
        >>> extra_urls({"beside": {"plain": "images/a b-map.png", "array": "../a.npy"}})
        {'plain': 'images/a%20b-map.png', 'array': None}
    """
    beside = unit.get("extra_files")
    return {str(kind): picture_url(file) for kind, file in beside.items()} if isinstance(beside, Mapping) else {}


def shown(unit: Mapping[str, Any]) -> dict[str, Any]:
    """A unit as the script of a page takes it: where its picture and the files beside it are found, and its figures."""
    return {
        **unit,
        "source": picture_url(unit.get("file")),
        "extra_files": extra_urls(unit),
        "metrics": unit.get("metrics") or {},
    }
