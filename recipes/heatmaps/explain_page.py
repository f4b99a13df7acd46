"""The page of `inverter explain`: each picture with the maps of all methods side by side, a row for each target."""

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.pages.by_picture import ORIGINAL, by_picture, seen, shown
from recipes.pages.html import render_page
from recipes.pages.manifest_view import ManifestView, Stat, took

__all__ = ["render_explain"]


def render_explain(manifest: Mapping[str, Any]) -> str:
    """Return the complete `index.html` of heat maps, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is needed to show pictures; every other key that is
            missing leaves its figure out.

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
        parts=["listing"],
        subtitle="Where in a picture it lies",
        stats=_stats(view, made),
        notices=view.notices("pictures"),
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "size": list(shape or (1, 1)),
            "views": [view for view in ("thing", "perceived") if any(unit["extra_files"].get(view) for unit in made)],
            "images": by_picture(units),
        },
    )


def _stats(view: ManifestView, made: Sequence[Mapping[str, Any]]) -> list[Stat]:
    each = [unit["metrics"] for unit in made]
    stats = [Stat("Pictures", f"{len(seen(view.units, 'image')):,}")]
    for label, key in (("Targets", "target"), ("Methods", "method")):
        names = seen(each, key)
        stats.append(Stat(label, f"{len(names):,}", ", ".join(names)))
    return stats + took(stat.get("seconds") for stat in each) + view.asked("seed") + view.weights()
