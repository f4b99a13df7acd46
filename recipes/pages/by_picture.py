"""Units grouped by input image, for pages that have a row for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.outputs.vocabulary import ORIGINAL
from recipes.pages.html import picture_url

Units = Sequence[Mapping[str, Any]]


def by_picture(units: Units) -> list[dict[str, Any]]:
    """Groups units by input image, in order of appearance.

    Args:
        units: of a manifest.

    Returns:
        For each image its `name`, the unit of the `original` (or None), and the `units` made from it.

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


def distinct(units: Units, key: str) -> list[str]:
    """The distinct values of a key, as text, in order of appearance."""
    return list(dict.fromkeys(str(unit.get(key)) for unit in units))


def extra_urls(unit: Mapping[str, Any]) -> dict[str, str | None]:
    """URLs of a unit's extra files, by kind; None for a file outside the output folder.

    Example:
        >>> extra_urls({"extra_files": {"plain": "images/a b-map.png", "array": "../a.npy"}})
        {'plain': 'images/a%20b-map.png', 'array': None}
    """
    files = unit.get("extra_files")
    return {str(kind): picture_url(file) for kind, file in files.items()} if isinstance(files, Mapping) else {}


def shown(unit: Mapping[str, Any]) -> dict[str, Any]:
    """A unit as a page's script expects it: with the URLs of its picture and extra files, and its metrics."""
    return {
        **unit,
        "source": picture_url(unit.get("file")),
        "extra_files": extra_urls(unit),
        "metrics": unit.get("metrics") or {},
    }
