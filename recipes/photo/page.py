"""The page of the icons at each position of a photo: `inverter dictionary` and `inverter grid`."""

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.evidence.report import evidence_stats, notices
from recipes.outputs.vocabulary import ORIGINAL
from recipes.pages.html import picture_url, render_page
from recipes.pages.manifest_view import RESUMES, ManifestView, Stat, took

__all__ = ["render_photo"]

KINDS = {"dictionary": "Semantic dictionary", "grid": "Activation grid"}


def render_photo(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of a photo's icons, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_photo({"recipe": "dictionary", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    photo: Mapping[str, Any] = next((unit for unit in view.units if unit.get("objective") == ORIGINAL), {})
    metrics = photo.get("metrics") or {}
    cells = [unit for unit in view.units if unit.get("objective") == "direction"]
    sizes = {str(unit.get("layer")): (unit.get("metrics") or {}).get("map_size") or (1, 1) for unit in cells}
    layers = [_layer(name, size, view.units) for name, size in sizes.items()]
    return render_page(
        "photo",
        view,
        title=view.named or str(metrics.get("source") or "photo"),
        subtitle=f"{KINDS.get(str(manifest.get('recipe')), 'Icons')} · {view.spec}",
        stats=_stats(view),
        notices=view.notices("picture", RESUMES, "manifest.json has the reasons.") + notices(view.units),
        parts=["evidence"],
        data={
            "latents": view.latents,
            "photo": picture_url(photo.get("file")),
            "size": list(view.shape or (1, 1)),
            "layers": layers,
            "grid": manifest.get("recipe") == "grid",
        },
    )


def _layer(name: str, size: Sequence[int], units: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One layer as the script expects it: the map's size, its positions in reading order, and the channel icons."""
    here = [unit for unit in units if unit.get("layer") == name]
    cells = [
        {**(unit.get("metrics") or {}), "source": picture_url(unit.get("file"))}
        for unit in here
        if unit.get("objective") == "direction"
    ]
    icons = {
        str(unit.get("channel")): picture_url(unit.get("file")) for unit in here if unit.get("objective") == "channel"
    }
    groups = [
        {**(unit.get("metrics") or {}), "source": picture_url(unit.get("file"))}
        for unit in here
        if unit.get("objective") == "group"
    ]
    cells.sort(key=lambda cell: cell["position"])
    return {"name": name, "size": list(size), "cells": cells, "icons": icons, "groups": groups}


def _stats(view: ManifestView) -> list[Stat]:
    made = [unit for unit in view.units if unit.get("objective") != ORIGINAL]
    stats = [Stat("Positions", f"{sum(unit.get('objective') == 'direction' for unit in made):,}")]
    if channels := sum(unit.get("objective") == "channel" for unit in made):
        latents = any(str(unit.get("layer")) in view.latents for unit in made)
        stats.append(Stat("Latents" if latents else "Channels", f"{channels:,}"))
    stats += took((unit.get("seconds") for unit in made), "icon")
    return (
        stats
        + view.settings_stats("icon", "steps", "power", "prior", "seed")
        + evidence_stats(view.rows)
        + view.weights()
    )
