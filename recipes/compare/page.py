"""The page of `inverter compare`: CKA of all pairs of layers, tables, equivariance by depth, matching units."""

from collections.abc import Mapping
from typing import Any

from recipes.pages.html import located, picture_url, render_page
from recipes.pages.manifest_view import ManifestView, Stat, named

__all__ = ["render_compare"]


def render_compare(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of a comparison, from its manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; what is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_compare({"recipe": "compare", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    pairs = [row for row in view.rows if row.get("other") is not None]
    warped = [row for row in view.rows if row.get("warp") is not None]
    layers = list(dict.fromkeys(str(row[key]) for row in [*pairs, *warped] for key in ("layer", "other") if key in row))
    places = view.settings.get("images") or []
    return render_page(
        "compare",
        view,
        parts=["listing", "chart"],
        subtitle="Comparison of representations",
        stats=[
            named("Layer", layers, "Layers"),
            Stat("Pictures from", ", ".join(map(str, places)) if isinstance(places, list) else str(places)),
            *view.settings_stats("positions", "pooled", "seed"),
            *view.weights(),
        ],
        notices=view.notices("pair of units"),
        data={
            "size": list(view.shape or (1, 1)),
            "layers": layers,
            "pairs": pairs,
            "warped": warped,
            "units": [_shown(unit) for unit in view.units],
        },
    )


def _shown(unit: Mapping[str, Any]) -> dict[str, Any]:
    metrics = unit.get("metrics") or {}
    patches = {key: located(metrics.get(key)) for key in ("most", "other_most")}
    return {**unit, "source": picture_url(unit.get("file")), "metrics": {**metrics, **patches}}
