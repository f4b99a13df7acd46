"""The page of `inverter circuit`: units, with what drives them and what they drive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recipes.pages.html import located, picture_url, render_page
from recipes.pages.manifest_view import RESUMES, ManifestView, Stat, took

__all__ = ["render_circuit"]


def render_circuit(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of a circuit, from its manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_circuit({"recipe": "circuit", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    units, filters = dict[str, Any](), list[dict[str, Any]]()
    for unit in view.units:
        metrics = unit.get("metrics") or {}
        shown = {
            "layer": str(unit.get("layer")),
            "channel": unit.get("channel"),
            "name": unit.get("name"),
            "source": picture_url(unit.get("file")),
            "score": unit.get("score"),
            "status": unit.get("status"),
            "patches": located(metrics.get("patches")),
            "circuit": metrics.get("circuit"),
        }
        units[f"{shown['layer']}/{shown['channel']}"] = shown
        if unit.get("objective") == "filter":
            filters.append(shown)
    sides = [side for unit in units.values() for side in (unit["circuit"] or {}).values()]
    reasons = dict.fromkeys(str(side.get("reason")) for side in sides if side.get("method") == "attribution")
    stats = [Stat("Units", view.count), Stat("Circuits", f"{sum(bool(unit['circuit']) for unit in units.values()):,}")]
    return render_page(
        "circuit",
        view,
        parts=["scale"],
        subtitle=f"Circuit · {view.spec}" if view.named else "Circuit",
        stats=stats + took(unit.get("seconds") for unit in view.units) + view.settings_stats("images") + view.weights(),
        notices=view.notices("picture", RESUMES) + [f"{reason}: attribution instead of weights." for reason in reasons],
        data={"units": units, "filters": filters, "size": list(view.shape or (1, 1))},
    )
