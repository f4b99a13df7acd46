"""The page of `inverter explain`: each picture with the heat maps of all methods side by side, a row per target."""

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.outputs.rendering.colormap import SCALES
from recipes.outputs.vocabulary import ORIGINAL
from recipes.pages.by_picture import by_picture, distinct, shown
from recipes.pages.html import render_page
from recipes.pages.manifest_view import ManifestView, Stat, took

__all__ = ["render_explain"]


def render_explain(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of heat maps, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_explain({"recipe": "explain", "units": []}).startswith("<!doctype html>")
        True
    """
    view, units = ManifestView(manifest), [shown(unit) for unit in manifest.get("units") or []]
    made = [unit for unit in units if unit.get("objective") != ORIGINAL]
    shape = view.shape
    return render_page(
        "explain",
        view,
        parts=["listing", "scale"],
        subtitle="Attribution heat maps",
        stats=_stats(view, made),
        notices=view.notices("picture"),
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "size": list(shape or (1, 1)),
            "views": [view for view in ("cutout", "perception") if any(unit["extra_files"].get(view) for unit in made)],
            "images": by_picture(units),
            "scales": SCALES,
        },
    )


def _stats(view: ManifestView, made: Sequence[Mapping[str, Any]]) -> list[Stat]:
    each = [unit["metrics"] for unit in made]
    stats = [Stat("Pictures", f"{len(distinct(view.units, 'image')):,}")]
    for label, key in (("Targets", "target"), ("Methods", "method")):
        names = distinct(each, key)
        stats.append(Stat(label, f"{len(names):,}", ", ".join(names)))
    return stats + took(metrics.get("seconds") for metrics in each) + view.settings_stats("seed") + view.weights()
