"""The page of `inverter adversarial`: the share of photographs by size of change, then each with its changed copies."""

from collections.abc import Mapping
from typing import Any

from recipes.outputs.vocabulary import ORIGINAL
from recipes.pages.by_picture import by_picture, distinct, shown
from recipes.pages.html import render_page
from recipes.pages.manifest_view import ManifestView, Stat, took

__all__ = ["render_adversarial"]


def render_adversarial(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of the smallest changes, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required to show pictures, and `table` to show the
            table; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_adversarial({"recipe": "adversarial", "units": []}).startswith("<!doctype html>")
        True
    """
    view, units = ManifestView(manifest), [shown(unit) for unit in manifest.get("units") or []]
    made = [unit["metrics"] for unit in units if unit.get("objective") != ORIGINAL]
    notices = view.notices("picture")
    if missed := sum(not metrics.get("reached") for metrics in made):
        notices.append(f"{missed:,} of {len(made):,} changes did not reach their goal; each is marked.")
    return render_page(
        "adversarial",
        view,
        parts=["listing", "chart"],
        subtitle="Smallest changes that make the network see something else",
        stats=[
            Stat("Pictures", f"{len(distinct(units, 'image')):,}"),
            Stat("Targets", ", ".join(distinct(made, "target"))),
            Stat("Norms", ", ".join(distinct(made, "norm"))),
            *took(metrics.get("seconds") for metrics in made),
            *view.settings_stats("steps", "above"),
            *view.weights(),
        ],
        notices=notices,
        data={"aspect": view.aspect, "table": view.rows, "images": by_picture(units)},
    )
