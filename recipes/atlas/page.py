"""The files of an atlas in addition to its icons: `atlas.json`, pictures of the grids, sprite sheets, and the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.atlas.labels.judged_shares import ICON, PHOTOGRAPHS, class_stats
from recipes.atlas.layer_choice import SECOND_FOLDER
from recipes.atlas.sprites import ACROSS, sheet_file, tile_size, write_grid
from recipes.evidence.report import EVIDENCE
from recipes.evidence.report import notices as evidence_notices
from recipes.outputs.atomic import write_text
from recipes.outputs.manifest import Manifest
from recipes.outputs.provenance import provenance
from recipes.pages.html import located, picture_url, render_page
from recipes.pages.manifest_view import RESUMES, ManifestView, Stat, took

__all__ = ["class_notice", "render_atlas", "write_atlas"]

SHOWN = EVIDENCE | {ICON, PHOTOGRAPHS}
"""Metrics that the panel of a cell shows in addition to its own, by the first word of their names."""


def write_atlas(folder: Path) -> dict[str, Path]:
    """Writes `atlas.json`, `atlas-GRID.png` and the sprite sheets of the finished icons; the page shows the sheets.

    `atlas.json` lists, for each grid, its cells: place, number of members, direction (file and row), classes with their
    effects, examples with their receptive fields, and the icon. A second atlas on the same map has the same files below
    `with/`, and its paths are relative to that folder.

    Args:
        folder: the output folder; does not change if it holds the run of another recipe.

    Returns:
        The pictures of the grids, by what they are.
    """
    path = folder / "manifest.json"
    if not path.is_file() or (known := Manifest.load(path)).recipe != "atlas":
        return {}  # the run did not start: the folder belongs to another one
    manifest = known.to_json()
    made = {key: manifest[key] for key in ("inverter", "created", "model", "planned")}
    settings = {key: manifest["settings"].get(key) for key in ("layer", "class", "share", "layout", "seed")}
    maps: dict[str, Path] = {}
    for below, about in _atlases(manifest).items():
        grids = []
        for side, units in _by_grid(manifest["units"], below).items():
            icons = {(unit["metrics"]["row"], unit["metrics"]["column"]): folder / unit["file"] for unit in units}
            write_grid(folder / below, side, icons, provenance(known.recipe, known.settings))
            maps[f"atlas of {about['layer']}, {side}x{side}"] = folder / below / f"atlas-{side}.png"
            listed = [{"icon": unit["file"].removeprefix(below), **unit["metrics"]} for unit in units]
            grids.append({"grid": side, "atlas": f"atlas-{side}.png", "cells": listed})
        content = {**made, **settings, **about, "grids": grids}
        write_text(folder / below / "atlas.json", json.dumps(content, indent=1))
    return maps


def render_atlas(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of an atlas, from its manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_atlas({"recipe": "atlas", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    units = view.units
    notices = view.notices("icon", RESUMES) + evidence_notices(units)
    if notice := class_notice([unit.get("metrics") or {} for unit in units]):
        notices.append(f"{notice[0].upper()}{notice[1:]}.")
    name = next((unit["name"] for unit in units if unit.get("name")), None)
    return render_page(
        "atlas",
        view,
        subtitle="Activation atlas" if name is None else f"Activation atlas of the class {name}",
        stats=_stats(view),
        notices=notices,
        parts=["atlas_map", "evidence"],
        data={
            "across": ACROSS,
            "atlases": [
                _atlas(view.settings.get("icon"), about, below, _by_grid(units, below))
                for below, about in _atlases(manifest).items()
            ],
        },
    )


def class_notice(metrics: Sequence[Mapping[str, Any]]) -> str | None:
    """Why cells have no classes, or classes without names, in one line; None if they have both.

    Args:
        metrics: of the icons.

    Example:
        >>> class_notice([{"classes": [{"index": 3, "name": None, "effect": 1.0}]}])
        'classes are shown by index: the network has no class names'
    """
    if reason := next((each["no_classes"] for each in metrics if each.get("no_classes")), None):
        return f"class effects are not available: {reason}"
    found = [guess for each in metrics for guess in each.get("classes") or ()]
    if found and all(guess.get("name") is None for guess in found):
        return "classes are shown by index: the network has no class names"
    return None


def _atlases(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Model and layer of each atlas of a run, by its folder below the output folder."""
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
    metrics = unit["metrics"]
    examples = [{**each, "picture": f"{below}{each.get('picture')}"} for each in metrics.get("examples") or []]
    return {
        **{key: metrics.get(key) for key in ("row", "column", "count", "cosine", "own", "classes", "latents")},
        **{key: value for key, value in metrics.items() if key.split(" ")[0] in SHOWN},
        "status": unit.get("status"),
        "source": picture_url(unit.get("file")),
        "sheet": picture_url(below + sheet_file(metrics["grid"], metrics["row"], metrics["column"])),
        "examples": located(examples),
    }


def _stats(view: ManifestView) -> list[Stat]:
    rows, stats = view.rows, [Stat("Icons", view.count), *view.settings_stats("layer")]
    if second := view.settings.get("with"):
        stats.append(
            Stat("Second layer", str(second.get("layer")), str((second.get("model") or view.model).get("spec")))
        )
    if rows:
        stats.append(Stat("Grid", ", ".join(dict.fromkeys(str(row["grid"]) for row in rows))))
        stats.append(Stat("Activations", f"{max(row['activations'] for row in rows):,}", "in the cells shown"))
        cells = sum(row["cells"] for row in rows)
        cosine = sum(row["cosine"] * row["cells"] for row in rows) / cells
        own = sum(row["own_cell_nearest"] * row["cells"] for row in rows) / cells
        hint = "mean cosine similarity between an icon's central activation and its cell's mean direction"
        stats.append(Stat("Cosine", f"{cosine:.2f}", hint))
        hint = "icons whose own cell has the direction nearest to their activation"
        stats.append(Stat("Nearest to own cell", f"{own:.1%}", hint))
        stats += class_stats(rows)
    stats += took((unit.get("seconds") for unit in view.units), "icon")
    return stats + view.settings_stats("layout", "steps") + view.weights()
