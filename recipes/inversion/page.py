"""The page of `inverter invert`: a film strip for each picture, from shallow to deep, and what was lost on the way."""

from collections.abc import Mapping
from typing import Any

from recipes.pages.by_picture import ORIGINAL, by_picture, seen
from recipes.pages.html import picture_url, render_page
from recipes.pages.manifest_view import Figure, Told, took

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
    told = Told(manifest)
    units = [dict(unit, source=picture_url(unit.get("file"))) for unit in told.units]
    made = [unit for unit in units if unit.get("objective") != ORIGINAL]
    layers, priors = seen(made, "layer"), seen(made, "prior")
    shape = told.shape
    return render_page(
        "invert",
        told,
        parts=["listing", "chart"],
        subtitle="Pre-images of layer codes",
        figures=[
            Figure("Pictures", f"{len(seen(units, 'image')):,}"),
            Figure("Pre-images", f"{len(made):,}"),
            Figure("Layers", f"{len(layers):,}", ", ".join(layers)),
            Figure("Priors" if len(priors) > 1 else "Prior", ", ".join(priors)),
            *took((unit.get("seconds") for unit in made), "a pre-image"),
            *told.asked("distance", "attempts", "judge", "seed"),
            *told.weights(),
        ],
        notices=told.notices("pictures"),
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "images": by_picture(units),
            "layers": layers,
            "priors": priors,
            "table": told.rows,
        },
    )
