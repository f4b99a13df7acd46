"""The page of `inverter explain`: each picture with the maps of all methods side by side, a row for each target."""

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.pages.by_picture import ORIGINAL, by_picture, seen, shown
from recipes.pages.html import render_page
from recipes.pages.manifest_view import Figure, Told, took

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
    told, units = Told(manifest), [shown(unit) for unit in manifest.get("units") or []]
    made = [unit for unit in units if unit.get("objective") != ORIGINAL]
    shape = told.shape
    return render_page(
        "explain",
        told,
        parts=["listing"],
        subtitle="Where in a picture it lies",
        figures=_figures(told, made),
        notices=told.notices("pictures"),
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "size": list(shape or (1, 1)),
            "views": [view for view in ("thing", "perceived") if any(unit["beside"].get(view) for unit in made)],
            "images": by_picture(units),
        },
    )


def _figures(told: Told, made: Sequence[Mapping[str, Any]]) -> list[Figure]:
    each = [unit["figures"] for unit in made]
    figures = [Figure("Pictures", f"{len(seen(told.units, 'image')):,}")]
    for label, key in (("Targets", "target"), ("Methods", "method")):
        names = seen(each, key)
        figures.append(Figure(label, f"{len(names):,}", ", ".join(names)))
    return figures + took(figure.get("seconds") for figure in each) + told.asked("seed") + told.weights()
