"""The page of `inverter explain`: each picture with the maps of all methods side by side, a row for each target."""

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.outputs.by_picture import by_picture, seen, urls_beside
from recipes.outputs.page import Figure, duration, picture_shape, picture_url, render_page

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
    settings, model = manifest.get("settings") or {}, manifest.get("model") or {}
    units = [_shown(unit) for unit in manifest.get("units") or []]
    made = [unit for unit in units if unit.get("objective") != "original"]
    planned = manifest.get("planned")
    notices = []
    if isinstance(planned, int) and planned > len(units):
        count = f"{len(units):,} of {planned:,} pictures"
        notices.append(f"This run is not finished: {count}. While it goes on, reload to see more.")
    spec = str(model.get("spec") or settings.get("model") or "network")
    shape = picture_shape(settings.get("size")) or picture_shape(model.get("input_size"))
    return render_page(
        "explain",
        parts=["listing"],
        title=str(manifest.get("title") or spec),
        subtitle="Where in a picture it lies",
        origin=f"{manifest.get('created', '')} · inverter {manifest.get('inverter', '')}".strip(" ·"),
        figures=_figures(settings, model, units, made),
        notices=notices,
        details={"Settings": settings, "Model": model, "Versions": manifest.get("versions") or {}},
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "size": list(shape or (1, 1)),
            "views": [view for view in ("thing", "perceived") if any(unit["beside"].get(view) for unit in made)],
            "images": by_picture(units),
        },
    )


def _shown(unit: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **unit,
        "source": picture_url(unit.get("file")),
        "beside": urls_beside(unit),
        "figures": unit.get("figures") or {},
    }


def _figures(
    settings: Mapping[str, Any],
    model: Mapping[str, Any],
    units: Sequence[Mapping[str, Any]],
    made: Sequence[Mapping[str, Any]],
) -> list[Figure]:
    told = [unit["figures"] for unit in made]
    figures = [Figure("Pictures", f"{len(seen(units, 'image')):,}")]
    for label, key in (("Targets", "target"), ("Methods", "method")):
        names = seen(told, key)
        figures.append(Figure(label, f"{len(names):,}", ", ".join(names)))
    seconds = [each["seconds"] for each in told if isinstance(each.get("seconds"), int | float)]
    if seconds:
        figures.append(Figure("Time", duration(sum(seconds))))
    if settings.get("seed") is not None:
        figures.append(Figure("Seed", str(settings["seed"])))
    if digest := str(model.get("sha256") or ""):
        figures.append(Figure("Weights sha256", f"{digest[:10]}…", f"{model.get('weights') or ''} {digest}".strip()))
    return figures
