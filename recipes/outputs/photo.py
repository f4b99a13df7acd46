"""The page of what a network sees at each position of a photo: `inverter dictionary` and `inverter grid`."""

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.outputs.page import Figure, duration, picture_shape, picture_url, render_page

__all__ = ["render_photo"]

KINDS = {"dictionary": "Semantic dictionary", "grid": "Activation grid"}


def render_photo(manifest: Mapping[str, Any]) -> str:
    """Return the complete `index.html` of a photo's icons, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is needed; every other key that is missing leaves its
            figure out.

    Example:
        >>> render_photo({"recipe": "dictionary", "units": []}).startswith("<!doctype html>")
        True
    """
    settings, model, units = manifest.get("settings") or {}, manifest.get("model") or {}, manifest.get("units") or []
    planned = manifest.get("planned")
    unfinished = isinstance(planned, int) and planned > len(units)
    notices = []
    if unfinished:
        notices.append(f"This run is not finished: {len(units):,} of {planned:,} pictures. The same command continues.")
    if stopped := sum(unit.get("status", "ok") != "ok" for unit in units):
        notices.append(f"{stopped:,} of {len(units):,} pictures did not end well; the manifest says why.")
    photo: Mapping[str, Any] = next((unit for unit in units if unit.get("objective") == "original"), {})
    shape = picture_shape(settings.get("size")) or picture_shape(model.get("input_size")) or (1, 1)
    spec = str(model.get("spec") or settings.get("model") or "network")
    figures = photo.get("figures") or {}
    layers = [_layer(str(name), size, units) for name, size in (figures.get("maps") or {}).items()]
    return render_page(
        "photo",
        title=str(manifest.get("title") or figures.get("source") or "photo"),
        subtitle=f"{KINDS.get(str(manifest.get('recipe')), 'Icons')} · {spec}",
        origin=f"{manifest.get('created', '')} · inverter {manifest.get('inverter', '')}".strip(" ·"),
        figures=_figures(settings, model, units),
        notices=notices,
        details={"Settings": settings, "Model": model, "Versions": manifest.get("versions") or {}},
        data={
            "photo": picture_url(photo.get("file")),
            "size": list(shape),
            "layers": layers,
            "grid": manifest.get("recipe") == "grid",
        },
    )


def _layer(name: str, size: Sequence[int], units: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One layer as the script wants it: its map's size, its positions in reading order, its channels' icons."""
    here = [unit for unit in units if unit.get("layer") == name]
    cells = [
        {**(unit.get("figures") or {}), "source": picture_url(unit.get("file"))}
        for unit in here
        if unit.get("objective") == "direction"
    ]
    icons = {
        str(unit.get("channel")): picture_url(unit.get("file")) for unit in here if unit.get("objective") == "channel"
    }
    groups = [
        {**(unit.get("figures") or {}), "source": picture_url(unit.get("file"))}
        for unit in here
        if unit.get("objective") == "group"
    ]
    cells.sort(key=lambda cell: cell["position"])
    return {"name": name, "size": list(size), "cells": cells, "icons": icons, "groups": groups}


def _figures(settings: Mapping[str, Any], model: Mapping[str, Any], units: Sequence[Mapping[str, Any]]) -> list[Figure]:
    made = [unit for unit in units if unit.get("objective") != "original"]
    figures = [
        Figure("Positions", f"{sum(unit.get('objective') == 'direction' for unit in made):,}"),
    ]
    if channels := sum(unit.get("objective") == "channel" for unit in made):
        figures.append(Figure("Channels", f"{channels:,}"))
    seconds = [unit["seconds"] for unit in made if isinstance(unit.get("seconds"), int | float)]
    if seconds:
        figures.append(Figure("Time", duration(sum(seconds))))
        figures.append(Figure("Time an icon", duration(sum(seconds) / len(seconds))))
    asked = {name: settings.get(name) for name in ("icon", "steps", "power", "prior", "seed")}
    figures += [Figure(name.capitalize(), str(value)) for name, value in asked.items() if value is not None]
    if digest := str(model.get("sha256") or ""):
        figures.append(Figure("Weights sha256", f"{digest[:10]}…", f"{model.get('weights') or ''} {digest}".strip()))
    return figures
