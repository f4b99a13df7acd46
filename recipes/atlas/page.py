"""The files of an atlas beside its icons: `atlas.json`, pictures of whole grids, sprite sheets, and the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.atlas.layer_choice import SECOND_FOLDER
from recipes.atlas.sprites import ACROSS, sheet_file, tile_size, write_grid
from recipes.outputs.atomic import write_text
from recipes.outputs.manifest import Manifest
from recipes.pages.html import located, picture_url, render_page
from recipes.pages.manifest_view import CONTINUES, ManifestView, Stat, took

__all__ = ["render_atlas", "told_of_classes", "write_atlas"]


def write_atlas(folder: Path) -> None:
    """Writes `atlas.json`, `atlas-GRID.png` and the sheets of the icons that are finished; the page shows the sheets.

    `atlas.json` holds, for each grid, its cells: place, number of members, direction (file and row), classes with their
    effects, examples with the window that the cell's activation saw, and the icon. A second atlas on the same map has
    the same files below `with/`, and its paths are relative to it.
    """
    path = folder / "manifest.json"
    if not path.is_file() or (known := Manifest.load(path)).recipe != "atlas":
        return  # the run did not begin: the folder is another's
    manifest = known.to_json()
    made = {key: manifest[key] for key in ("inverter", "created", "model", "planned")}
    asked = {key: manifest["settings"].get(key) for key in ("layer", "class", "share", "layout", "seed")}
    for below, about in _looks(manifest).items():
        grids = []
        for side, units in _by_grid(manifest["units"], below).items():
            icons = {(unit["metrics"]["row"], unit["metrics"]["column"]): folder / unit["file"] for unit in units}
            write_grid(folder / below, side, icons)
            listed = [{"icon": unit["file"].removeprefix(below), **unit["metrics"]} for unit in units]
            grids.append({"grid": side, "atlas": f"atlas-{side}.png", "cells": listed})
        view = {**made, **asked, **about, "grids": grids}
        write_text(folder / below / "atlas.json", json.dumps(view, indent=1))


def render_atlas(manifest: Mapping[str, Any]) -> str:
    """Return the complete `index.html` of an atlas, from its manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is needed; every other key that is missing leaves its
            figure out.

    Example:
        >>> render_atlas({"recipe": "atlas", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    units = view.units
    notices = view.notices("icons", CONTINUES)
    if silent := told_of_classes([unit.get("metrics") or {} for unit in units]):
        notices.append(f"{silent[0].upper()}{silent[1:]}.")
    meant = next((unit["name"] for unit in units if unit.get("name")), None)
    return render_page(
        "atlas",
        view,
        subtitle="Activation atlas" if meant is None else f"Activation atlas of the class {meant}",
        stats=_stats(view),
        notices=notices,
        parts=["atlas_map"],
        data={
            "across": ACROSS,
            "atlases": [
                _atlas(view.settings.get("size"), about, below, _by_grid(units, below))
                for below, about in _looks(manifest).items()
            ],
        },
    )


def told_of_classes(stats: Sequence[Mapping[str, Any]]) -> str | None:
    """Why cells have no classes, or none with a name, in one line, from the figures of icons; None if they have.

    Example:
        >>> told_of_classes([{"classes": [{"index": 3, "name": None, "effect": 1.0}]}])
        'classes are told by their numbers: the network does not say their names'
    """
    if reason := next((view["no_classes"] for view in stats if view.get("no_classes")), None):
        return f"classes are not told: {reason}"
    found = [guess for view in stats for guess in view.get("classes") or ()]
    if found and all(guess.get("name") is None for guess in found):
        return "classes are told by their numbers: the network does not say their names"
    return None


def _looks(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the atlases of a run are of, model and layer: by the folder of each, below the output folder."""
    settings = manifest.get("settings") or {}
    first = {"model": manifest.get("model") or {}, "layer": settings.get("layer")}
    second = settings.get("with")
    return {"": first} if second is None else {"": first, SECOND_FOLDER: first | second}


def _by_grid(units: Iterable[Mapping[str, Any]], below: str) -> dict[int, list[Mapping[str, Any]]]:
    grids: dict[int, list[Mapping[str, Any]]] = {}
    for unit in units:
        if str(unit.get("file")).startswith(SECOND_FOLDER) == (below == SECOND_FOLDER):
            grids.setdefault(int(unit["metrics"]["grid"]), []).append(unit)
    return dict(sorted(grids.items()))


def _atlas(
    size: int | None, about: Mapping[str, Any], below: str, grids: Mapping[int, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    levels = [
        {"side": side, "tile": tile_size(side, size or 96), "cells": [_cell(unit, below) for unit in members]}
        for side, members in grids.items()
    ]
    model = about["model"]
    return {
        "model": model.get("spec"),
        "size": list(model.get("input_size") or (1, 1)),
        "layer": about["layer"],
        "grids": levels,
    }


def _cell(unit: Mapping[str, Any], below: str) -> dict[str, Any]:
    view = unit["metrics"]
    examples = [{**each, "picture": f"{below}{each.get('picture')}"} for each in view.get("examples") or []]
    return {
        **{key: view.get(key) for key in ("row", "column", "count", "cosine", "own", "classes")},
        "status": unit.get("status"),
        "source": picture_url(unit.get("file")),
        "sheet": picture_url(below + sheet_file(view["grid"], view["row"], view["column"])),
        "examples": located(examples),
    }


def _stats(view: ManifestView) -> list[Stat]:
    rows, stats = view.rows, [Stat("Icons", view.count), *view.asked("layer")]
    if second := view.settings.get("with"):
        stats.append(Stat("With", str(second.get("layer")), str((second.get("model") or view.model).get("spec"))))
    if rows:
        stats.append(Stat("Grid", ", ".join(dict.fromkeys(str(row["grid"]) for row in rows))))
        stats.append(Stat("Activations", f"{max(row['activations'] for row in rows):,}", "in the cells that are shown"))
        cells = sum(row["cells"] for row in rows)
        cosine = sum(row["cosine"] * row["cells"] for row in rows) / cells
        own = sum(row["own_cell_nearest"] * row["cells"] for row in rows) / cells
        hint = "between an icon's activation at its centre and its cell's mean direction, on average"
        stats.append(Stat("Cosine", f"{cosine:.2f}", hint))
        stats.append(Stat("Nearest to its own cell", f"{own:.1%}", "icons whose nearest cell direction is their own"))
    stats += took((unit.get("seconds") for unit in view.units), "an icon")
    return stats + view.asked("layout", "steps") + view.weights()
