"""The page of `inverter invert`: a film strip for each picture, from shallow to deep, and what was lost on the way."""

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.outputs.by_picture import by_picture, seen
from recipes.outputs.page import Figure, duration, picture_shape, picture_url, render_page

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
    settings, model = manifest.get("settings") or {}, manifest.get("model") or {}
    units = [dict(unit, source=picture_url(unit.get("file"))) for unit in manifest.get("units") or []]
    made = [unit for unit in units if unit.get("objective") != "original"]
    layers, priors = seen(made, "layer"), seen(made, "prior")
    planned, stopped = manifest.get("planned"), sum(unit.get("status", "ok") != "ok" for unit in units)
    notices = []
    if isinstance(planned, int) and planned > len(units):
        count = f"{len(units):,} of {planned:,} pictures"
        notices.append(f"This run is not finished: {count}. While it goes on, reload to see more.")
    if stopped:
        notices.append(f"{stopped:,} of {len(units):,} pictures did not end well; each is marked with its status.")
    spec = str(model.get("spec") or settings.get("model") or "network")
    shape = picture_shape(model.get("input_size")) if not settings.get("size") else picture_shape(settings["size"])
    return render_page(
        "invert",
        parts=["listing", "chart"],
        title=str(manifest.get("title") or spec),
        subtitle="Pre-images of layer codes",
        origin=f"{manifest.get('created', '')} · inverter {manifest.get('inverter', '')}".strip(" ·"),
        figures=_figures(settings, model, units, made, layers, priors),
        notices=notices,
        details={"Settings": settings, "Model": model, "Versions": manifest.get("versions") or {}},
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "images": by_picture(units),
            "layers": layers,
            "priors": priors,
            "table": manifest.get("table") or [],
        },
    )


def _figures(
    settings: Mapping[str, Any],
    model: Mapping[str, Any],
    units: Sequence[Mapping[str, Any]],
    made: Sequence[Mapping[str, Any]],
    layers: Sequence[str],
    priors: Sequence[str],
) -> list[Figure]:
    figures = [Figure("Pictures", f"{len(seen(units, 'image')):,}"), Figure("Pre-images", f"{len(made):,}")]
    figures.append(Figure("Layers", f"{len(layers):,}", ", ".join(layers)))
    figures.append(Figure("Priors" if len(priors) > 1 else "Prior", ", ".join(priors)))
    seconds = [unit["seconds"] for unit in made if isinstance(unit.get("seconds"), int | float)]
    if seconds:
        figures.append(Figure("Time", duration(sum(seconds))))
        figures.append(Figure("Time a pre-image", duration(sum(seconds) / len(seconds))))
    asked = {name: settings.get(name) for name in ("distance", "attempts", "judge", "seed")}
    figures += [Figure(name.capitalize(), str(value)) for name, value in asked.items() if value is not None]
    if digest := str(model.get("sha256") or ""):
        figures.append(Figure("Weights sha256", f"{digest[:10]}…", f"{model.get('weights') or ''} {digest}".strip()))
    return figures
