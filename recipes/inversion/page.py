"""The page of `inverter invert`: a strip of pre-images for each picture, by depth, and their errors."""

from collections.abc import Mapping
from typing import Any

from recipes.outputs.vocabulary import ORIGINAL
from recipes.pages.by_picture import by_picture, distinct
from recipes.pages.html import picture_url, render_page
from recipes.pages.manifest_view import ManifestView, Stat, took

__all__ = ["render_invert"]


def render_invert(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of pre-images, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required to show pictures, and `table` to show the
            chart and the table; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_invert({"recipe": "invert", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    units = [dict(unit, source=picture_url(unit.get("file"))) for unit in view.units]
    made = [unit for unit in units if unit.get("objective") != ORIGINAL]
    caricatures = distinct(made, "objective") == ["caricature"]
    layers, priors = distinct(made, "layer"), distinct(made, "prior")
    return render_page(
        "invert",
        view,
        parts=["listing", "chart"],
        subtitle="Caricatures of layer codes" if caricatures else "Pre-images of layer codes",
        stats=[
            Stat("Pictures", f"{len(distinct(units, 'image')):,}"),
            Stat("Caricatures" if caricatures else "Pre-images", f"{len(made):,}"),
            Stat("Layers", f"{len(layers):,}", ", ".join(layers)),
            Stat("Priors" if len(priors) > 1 else "Prior", ", ".join(priors)),
            *took((unit.get("seconds") for unit in made), "caricature" if caricatures else "pre-image"),
            *view.settings_stats("distance", "attempts", "judge", "seed"),
            *view.weights(),
        ],
        notices=view.notices("picture"),
        data={
            "aspect": view.aspect,
            "images": by_picture(units),
            "auto": len(priors) > 1 and len(layers) == len({(unit.get("layer"), unit.get("prior")) for unit in made}),
            "layers": layers,
            "priors": priors,
            "table": view.rows,
        },
    )
