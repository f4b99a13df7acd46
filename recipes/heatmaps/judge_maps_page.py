"""The page of `inverter judge-maps`: a table and charts of the methods, then each map under weight randomisation."""

from collections.abc import Mapping
from typing import Any

from recipes.outputs.rendering.colormap import SCALES
from recipes.outputs.vocabulary import ORIGINAL
from recipes.pages.by_picture import by_picture, distinct, shown
from recipes.pages.html import render_page
from recipes.pages.manifest_view import ManifestView, Stat

__all__ = ["render_judge_maps"]


def render_judge_maps(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of evaluated heat maps, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required to show pictures, and `table` to show the
            table; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_judge_maps({"recipe": "judge-maps", "units": []}).startswith("<!doctype html>")
        True
    """
    view, units = ManifestView(manifest), [shown(unit) for unit in manifest.get("units") or []]
    methods = distinct([unit["metrics"] for unit in units if unit.get("objective") != ORIGINAL], "method")
    notices = view.notices("picture")
    if hardly := [str(row.get("method")) for row in view.rows if row.get("weights") == "hardly"]:
        notices.append(f"Hardly depends on the weights: {', '.join(hardly)}.")
    shape = view.shape
    return render_page(
        "judge_maps",
        view,
        parts=["listing", "chart", "scale"],
        subtitle="Evaluation of attribution heat maps",
        stats=[
            Stat("Pictures", f"{len(distinct(units, 'image')):,}"),
            Stat("Methods", f"{len(methods):,}", ", ".join(methods)),
            *view.settings_stats("target", "against", "seed"),
            *view.weights(),
        ],
        notices=notices,
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "size": list(shape or (1, 1)),
            "methods": methods,
            "table": view.rows,
            "images": by_picture(units),
            "scales": SCALES,
        },
    )
