"""The page of `inverter polysemantic`: units with the groups of their patches, the most mixed first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recipes.pages.html import located, picture_url, render_page
from recipes.pages.manifest_view import RESUMES, ManifestView, Stat, named, took

__all__ = ["render_polysemantic"]


def render_polysemantic(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of polysemantic units, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_polysemantic({"recipe": "polysemantic", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    units: dict[tuple[str, object], dict[str, Any]] = {}
    for record in view.units:
        metrics = record.get("metrics") or {}
        shown = {
            "source": picture_url(record.get("file")),
            "score": record.get("score"),
            "metrics": {**metrics, "patches": located(metrics.get("patches"))},
        }
        key = str(record.get("layer")), record.get("channel")
        unit = units.setdefault(key, {"layer": key[0], "channel": key[1], "own": None, "groups": []})
        if record.get("objective") == "group":
            unit["groups"].append(shown)
        else:
            unit["own"] = shown
    several = sum(len(unit["groups"]) > 1 for unit in units.values())
    layers = list(dict.fromkeys(layer for layer, _ in units))
    return render_page(
        "polysemantic",
        view,
        subtitle=f"Polysemantic units · {view.spec}" if view.named else "Polysemantic units",
        stats=[
            Stat("Units", f"{len(units):,}"),
            Stat("Of several groups", f"{several:,}"),
            named("Layer", layers, "Layers"),
            *took(record.get("seconds") for record in view.units),
            *view.settings_stats("inputs", "patches", "images"),
            *view.weights(),
        ],
        notices=view.notices("picture", RESUMES),
        data={"units": list(units.values()), "size": list(view.shape or (1, 1))},
    )
