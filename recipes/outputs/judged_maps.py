"""The page of `inverter judge-maps`: a table and charts of methods, then what became of each map."""

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.outputs.by_picture import by_picture, seen, urls_beside
from recipes.outputs.page import Figure, picture_shape, picture_url, render_page

__all__ = ["render_judge_maps"]


def render_judge_maps(manifest: Mapping[str, Any]) -> str:
    """Return the complete `index.html` of judged heat maps, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is needed to show pictures; `table` makes the table;
            every other key that is missing leaves its figure out.

    Example:
        >>> render_judge_maps({"recipe": "judge-maps", "units": []}).startswith("<!doctype html>")
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
    rows = [row for row in manifest.get("table") or [] if isinstance(row, Mapping)]
    if hardly := [str(row.get("method")) for row in rows if row.get("weights") == "hardly"]:
        notices.append(f"Hardly depends on the weights: {', '.join(hardly)}.")
    spec = str(model.get("spec") or settings.get("model") or "network")
    shape = picture_shape(settings.get("size")) or picture_shape(model.get("input_size"))
    return render_page(
        "judge_maps",
        parts=["listing", "chart"],
        title=str(manifest.get("title") or spec),
        subtitle="Which heat maps are true",
        origin=f"{manifest.get('created', '')} · inverter {manifest.get('inverter', '')}".strip(" ·"),
        figures=_figures(settings, model, units, made),
        notices=notices,
        details={"Settings": settings, "Model": model, "Versions": manifest.get("versions") or {}},
        data={
            "aspect": shape[1] / shape[0] if shape else 1,
            "size": list(shape or (1, 1)),
            "methods": seen([unit["figures"] for unit in made], "method"),
            "table": rows,
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
    methods = seen([unit["figures"] for unit in made], "method")
    figures = [
        Figure("Pictures", f"{len(seen(units, 'image')):,}"),
        Figure("Methods", f"{len(methods):,}", ", ".join(methods)),
    ]
    asked = {name: settings.get(name) for name in ("target", "against", "seed")}
    figures += [Figure(name.capitalize(), str(value)) for name, value in asked.items() if value is not None]
    if digest := str(model.get("sha256") or ""):
        figures.append(Figure("Weights sha256", f"{digest[:10]}…", f"{model.get('weights') or ''} {digest}".strip()))
    return figures
