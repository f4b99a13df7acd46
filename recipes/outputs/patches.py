"""The page of `inverter patches`: for each unit, the patches of real pictures that excite it most and least."""

from collections.abc import Mapping
from typing import Any

from recipes.outputs.page import Figure, located, picture_shape, picture_url, render_page

__all__ = ["render_patches"]


def render_patches(manifest: Mapping[str, Any]) -> str:
    """Return the complete `index.html` of top patches, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is needed; `table` gives the header its figures, and
            every other key that is missing leaves its figure out.

    Example:
        >>> render_patches({"recipe": "patches", "units": []}).startswith("<!doctype html>")
        True
    """
    settings, model, units = manifest.get("settings") or {}, manifest.get("model") or {}, manifest.get("units") or []
    rows, planned = manifest.get("table") or [], manifest.get("planned")
    unfinished = isinstance(planned, int) and planned > len(units)
    count = f"{len(units):,} of {planned:,}" if unfinished else f"{len(units):,}"
    notices = [f"This run is not finished: {count} units. The same command continues."] if unfinished else []
    if skipped := max((row.get("skipped") or 0 for row in rows), default=0):
        notices.append(f"{skipped:,} pictures could not be read and were left out.")
    if any(row.get("sees") == "unknown" for row in rows):
        unknown = ", ".join(str(row.get("layer")) for row in rows if row.get("sees") == "unknown")
        notices.append(f"What the units of {unknown} see could not be followed: they are shown with whole pictures.")
    pictures = max((row.get("pictures") or 0 for row in rows), default=0)
    asked = settings.get("count")
    if isinstance(asked, int) and 0 < pictures < asked:
        notices.append(f"{asked} patches were asked for, but there are only {pictures} pictures.")
    spec = str(model.get("spec") or settings.get("model") or "network")
    shape = picture_shape(settings.get("size")) or picture_shape(model.get("input_size")) or (1, 1)
    layers = list(dict.fromkeys(str(unit.get("layer")) for unit in units))
    figures = [Figure("Units", count)]
    if pictures:
        places = settings.get("dataset") or []
        figures.append(Figure("Pictures", f"{pictures:,}", ", ".join(map(str, places))))
    figures.append(
        Figure("Layer" if len(layers) == 1 else "Layers", layers[0] if len(layers) == 1 else str(len(layers)))
    )
    if len(rows) == 1:
        figures.append(Figure("A unit sees", str(rows[0].get("sees"))))
    if silent := sum(row.get("silent") or 0 for row in rows):
        figures.append(Figure("Silent units", f"{silent:,}", "the same in all pictures"))
    if settings.get("objective"):
        figures.append(Figure("Objective", str(settings["objective"])))
    if digest := str(model.get("sha256") or ""):
        figures.append(Figure("Weights sha256", f"{digest[:10]}…", f"{model.get('weights') or ''} {digest}".strip()))
    return render_page(
        "patches",
        parts=["listing", "layers"],
        title=str(manifest.get("title") or spec),
        subtitle="Top patches",
        origin=f"{manifest.get('created', '')} · inverter {manifest.get('inverter', '')}".strip(" ·"),
        figures=figures,
        notices=notices,
        details={"Settings": settings, "Model": model, "Versions": manifest.get("versions") or {}},
        data={
            "size": list(shape),
            "sees": {str(row.get("layer")): str(row.get("sees")) for row in rows},
            "layers": layers,
            "units": [
                {
                    "layer": str(unit.get("layer")),
                    "channel": unit.get("channel"),
                    "name": unit.get("name"),
                    "objective": unit.get("objective"),
                    "file": unit.get("file"),
                    "maps": picture_url(unit.get("file")),
                    "figures": {
                        **(unit.get("figures") or {}),
                        **{kind: located((unit.get("figures") or {}).get(kind)) for kind in ("most", "least")},
                    },
                }
                for unit in units
            ],
        },
    )
