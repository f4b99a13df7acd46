"""The page of `inverter judge-maps`: a table and charts of methods, then what became of each map."""

from collections.abc import Mapping
from typing import Any

from recipes.pages.by_picture import ORIGINAL, by_picture, seen, shown
from recipes.pages.html import render_page
from recipes.pages.manifest_view import ManifestView, Stat

__all__ = ["render_judge_maps"]


def render_judge_maps(manifest: Mapping[str, Any]) -> str:
    """Return the complete `index.html` of judged heat maps, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is needed to show pictures; `table` makes the table;
            every other key that is missing leaves its figure out.

    Example:
        >>> render_judge_maps({"recipe": "judge-maps", "units": []}).startswith("<!doctype html>")
        True
    """
    view, units = ManifestView(manifest), [shown(unit) for unit in manifest.get("units") or []]
    methods = seen([unit["metrics"] for unit in units if unit.get("objective") != ORIGINAL], "method")
    notices = view.notices("pictures")
    if hardly := [str(row.get("method")) for row in view.rows if row.get("weights") == "hardly"]:
        notices.append(f"Hardly depends on the weights: {', '.join(hardly)}.")
    shape = view.shape
    return render_page(
        "judge_maps",
        view,
        parts=["listing", "chart"],
        subtitle="Which heat maps are true",
        stats=[
            Stat("Pictures", f"{len(seen(units, 'image')):,}"),
            Stat("Methods", f"{len(methods):,}", ", ".join(methods)),
            *view.asked("target", "against", "seed"),
            *view.weights(),
        ],
        notices=notices,
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "size": list(shape or (1, 1)),
            "methods": methods,
            "table": view.rows,
            "images": by_picture(units),
        },
    )
