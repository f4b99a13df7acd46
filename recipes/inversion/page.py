"""The page of `inverter invert`: a film strip for each picture, from shallow to deep, and what was lost on the way."""

from collections.abc import Mapping
from typing import Any

from recipes.pages.by_picture import ORIGINAL, by_picture, seen
from recipes.pages.html import picture_url, render_page
from recipes.pages.manifest_view import ManifestView, Stat, took

__all__ = ["render_invert"]


def render_invert(manifest: Mapping[str, Any]) -> str:
    """Return the complete `index.html` of pre-images, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is needed to show pictures; `table` makes the plot and
            the table; every other key that is missing leaves its figure out.

    Example:
        >>> render_invert({"recipe": "invert", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    units = [dict(unit, source=picture_url(unit.get("file"))) for unit in view.units]
    made = [unit for unit in units if unit.get("objective") != ORIGINAL]
    layers, priors = seen(made, "layer"), seen(made, "prior")
    shape = view.shape
    return render_page(
        "invert",
        view,
        parts=["listing", "chart"],
        subtitle="Pre-images of layer codes",
        stats=[
            Stat("Pictures", f"{len(seen(units, 'image')):,}"),
            Stat("Pre-images", f"{len(made):,}"),
            Stat("Layers", f"{len(layers):,}", ", ".join(layers)),
            Stat("Priors" if len(priors) > 1 else "Prior", ", ".join(priors)),
            *took((unit.get("seconds") for unit in made), "a pre-image"),
            *view.asked("distance", "attempts", "judge", "seed"),
            *view.weights(),
        ],
        notices=view.notices("pictures"),
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "images": by_picture(units),
            "layers": layers,
            "priors": priors,
            "table": view.rows,
        },
    )
