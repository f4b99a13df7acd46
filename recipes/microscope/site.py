"""The site itself: pages and sprite sheets, from the folders of its runs alone, in seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from recipes.microscope.alike import alike
from recipes.microscope.folders import RUNS, FoundRuns, SiteLayer, read_runs
from recipes.microscope.layer_data import LEAST, MOST, driven, layer_data, patches_of
from recipes.microscope.network_facts import FILTERS
from recipes.microscope.page import render_index, render_layer, render_search
from recipes.microscope.sheets import Form, Tile, tile_side, write_sheets
from recipes.options.names import OUTPUT_LAYER
from recipes.outputs.atomic import write_bytes, write_text
from recipes.outputs.manifest import Manifest

SPRITES, LAYERS = "sprites", "layers"
"""Folders of the sheets and of the layers' pages."""
LONGEST = 128
"""Side of a unit's picture in its sheet, in pixels."""
PATCH = 96
ACROSS, DOWN = 8, 8
FILTERS_ACROSS = 16
QUALITY, PATCH_QUALITY, ATLAS_QUALITY = 80, 65, 80


def build_site(out: Path, manifest: Manifest, left_out: Mapping[str, str]) -> None:
    """Makes the site from what its runs have left so far; sheets that would be the same are not written again.

    Args:
        out: the site; its runs lie in `runs`.
        manifest: of the site: its units and table are filled in, and it is written.
        left_out: what the site does not have -> why.
    """
    runs = read_runs(out)
    manifest.units = {
        file: replace(made.record, file=file, metrics={}, extra_files={})
        for layer in runs.layers
        for unit in layer.units
        if (made := unit.picture) is not None
        for file in [f"{RUNS}/{made.folder.relative_to(runs.folder).as_posix()}/{made.record.file}"]
    }
    manifest.table = [_row(layer) for layer in runs.layers]
    shared: dict[str, Any] = {
        "layers": [_shared(layer) for layer in runs.layers],
        "leftOut": dict(left_out),
        "filters": runs.filters,
        "size": runs.size,
    }
    likes, drives = alike(runs.layers), driven(runs)
    for place, layer in enumerate(runs.layers):
        shared["layers"][place] |= _sprites(out / SPRITES / layer.stem, layer)
        if layer.atlas is not None:
            _atlas(out / SPRITES / layer.stem, layer.atlas)
    if runs.filters:
        files = [runs.folder / FILTERS / f"{number:04d}.png" for number in range(runs.filters["count"])]
        form = Form("filters", *tile_side(files[0], LONGEST), FILTERS_ACROSS, len(files), 100)
        write_sheets(out / SPRITES, form, [Tile(file) for file in files])
    known = manifest.to_json()
    about = known | {"units": [{}] * len(manifest.units)}
    for place, layer in enumerate(runs.layers):
        own = layer_data(runs, place, likes[place], drives[place])
        page = render_layer(about, layer.facts, shared | own)
        write_text(out / LAYERS / f"{layer.stem}.html", page)
    write_text(out / "search.html", render_search(about, shared | {"units": _words(runs)}))
    write_text(out / "index.html", render_index(about, shared))
    write_text(out / "manifest.json", json.dumps(known, indent=1, ensure_ascii=False))


def _shared(layer: SiteLayer) -> dict[str, Any]:
    """What all pages need of a layer, to show and link its units."""
    channels = layer.channels
    plain = channels == list(range(len(channels)))
    return {
        "name": layer.address,
        "stem": layer.stem,
        "count": len(channels),
        "channels": None if plain else channels,
        "names": [unit.name for unit in layer.units] if layer.address == OUTPUT_LAYER else None,
        "facts": dict(layer.facts),
        "atlas": layer.atlas is not None,
        "made": sum(unit.picture is not None for unit in layer.units),
    }


def _row(layer: SiteLayer) -> dict[str, Any]:
    return {
        "layer": layer.address,
        "units": len(layer.units),
        "pictures": sum(unit.picture is not None for unit in layer.units),
        "patches": sum(bool(patches_of(unit.responses)[0]) for unit in layer.units),
        "inputs": len(layer.feeds.get("units", ())),
        "atlas": "yes" if layer.atlas is not None else "",
    }


def _sprites(folder: Path, layer: SiteLayer) -> dict[str, Any]:
    """Writes a layer's sheets; returns their `tile` (width, height), and whether the run's pictures are `larger`."""
    files = [None if (made := unit.picture) is None else made.folder / made.record.file for unit in layer.units]
    first = next((file for file in files if file is not None and file.is_file()), None)
    side = (LONGEST, LONGEST) if first is None else tile_side(first, LONGEST)
    if first is not None:
        write_sheets(folder, Form("u", *side, ACROSS, DOWN, QUALITY), [Tile(file) for file in files])
    if any(unit.responses is not None for unit in layer.units):
        tiles = []
        for unit in layer.units:
            for patches, count in zip(patches_of(unit.responses), (MOST, LEAST), strict=True):
                folder_of = unit.responses.folder if unit.responses is not None else folder
                own = [Tile(folder_of / patch["picture"], tuple(patch["window"])) for patch in patches]
                tiles += own + [Tile(None)] * (count - len(own))
        write_sheets(folder, Form("p", PATCH, PATCH, MOST + LEAST, 2 * ACROSS, PATCH_QUALITY), tiles)
    return {"tile": list(side), "larger": first is not None and tile_side(first, LONGEST + 1) != side}


def _atlas(folder: Path, run: Path) -> None:
    """Writes the picture of the finest grid of a layer's atlas as `atlas.webp`."""
    grids = sorted(run.glob("atlas-*.png"), key=lambda path: path.stat().st_size)
    target = folder / "atlas.webp"
    if not grids or (target.is_file() and target.stat().st_mtime_ns > grids[-1].stat().st_mtime_ns):
        return
    import io

    buffer = io.BytesIO()
    with Image.open(grids[-1]) as picture:
        picture.thumbnail((1600, 1600))
        picture.save(buffer, format="WEBP", quality=ATLAS_QUALITY, method=2)
    write_bytes(target, buffer.getvalue())


def _words(runs: FoundRuns) -> list[list[Any]]:
    """What the search finds each unit by: place of its layer, channel, name, further words."""
    found = []
    for place, layer in enumerate(runs.layers):
        for unit in layer.units:
            words = [] if unit.responses is None else unit.responses.record.metrics.get("words", [])
            more = ", ".join(word["text"] for word in words[1:])
            found.append(
                [place, unit.channel, unit.name or "", more] if more else [place, unit.channel, unit.name or ""]
            )
    return found
