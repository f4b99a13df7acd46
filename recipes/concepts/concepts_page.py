"""The page of `inverter concepts`: each concept with its pictures, and at each layer its accuracy and TCAV scores."""

from collections.abc import Mapping
from typing import Any

from recipes.pages.by_picture import distinct, shown
from recipes.pages.html import picture_url, render_page
from recipes.pages.manifest_view import ManifestView, Stat, named

__all__ = ["render_concepts"]


def render_concepts(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of concepts, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_concepts({"recipe": "concepts", "units": []}).startswith("<!doctype html>")
        True
    """
    view, units = ManifestView(manifest), [shown(unit) for unit in manifest.get("units") or []]
    for unit in units:
        unit["metrics"] = {**(unit.get("metrics") or {})}
        unit["metrics"]["shown"] = [picture_url(file) for file in unit["metrics"].get("shown") or []]
    tested = [row for row in view.rows if row.get("class") is not None]
    said = dict.fromkeys(text for unit in units for text in unit["metrics"].get("few") or [])
    stats = [
        Stat("Concepts", f"{len(distinct(units, 'name')):,}", ", ".join(distinct(units, "name"))),
        named("Layer", distinct(units, "layer"), "Layers"),
    ]
    if tested:
        kept, level = sum(bool(row.get("significant")) for row in tested), view.settings.get("significance")
        stats.append(named("Class", distinct(tested, "class"), "Classes"))
        stats.append(
            Stat(
                "Significant", f"{kept} of {len(tested)}", f"two-sided t-test, p < {level} / {len(tested)} (Bonferroni)"
            )
        )
    stats += view.settings_stats("runs", "separator", "pooling", "seed") + view.weights()
    return render_page(
        "concepts",
        view,
        parts=["listing"],
        subtitle="Concepts (TCAV)",
        stats=stats,
        notices=view.notices("picture") + [f"Few pictures: {text}." for text in said],
        data={"aspect": view.aspect, "units": units},
    )
