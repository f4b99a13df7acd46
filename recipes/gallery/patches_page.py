"""The page of `inverter patches`: for each unit, the dataset patches that activate it most and least."""

from collections.abc import Mapping
from typing import Any

from inverter_errors import plural
from recipes.pages.html import located, picture_url, render_page
from recipes.pages.manifest_view import RESUMES, ManifestView, Stat, named

__all__ = ["render_patches"]


def render_patches(manifest: Mapping[str, Any], kind: str = "Top patches") -> str:
    """Renders the complete `index.html` of top patches, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.
        kind: name of the page, for readers.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_patches({"recipe": "patches", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    settings, units, rows = view.settings, view.units, view.rows
    notices = view.notices("unit", RESUMES)
    if skipped := max((row.get("skipped") or 0 for row in rows), default=0):
        were = "was" if skipped == 1 else "were"
        notices.append(f"{plural(skipped, 'picture')} could not be read and {were} skipped.")
    if any(row.get("receptive_field") == "unknown" for row in rows):
        unknown = ", ".join(str(row.get("layer")) for row in rows if row.get("receptive_field") == "unknown")
        notices.append(f"The receptive field of {unknown} is unknown: its units are shown with full pictures.")
    pictures = max((row.get("pictures") or 0 for row in rows), default=0)
    count = settings.get("count")
    if isinstance(count, int) and 0 < pictures < count:
        are = "is" if pictures == 1 else "are"
        notices.append(f"{count} patches were requested, but there {are} only {plural(pictures, 'picture')}.")
    layers = list(dict.fromkeys(str(unit.get("layer")) for unit in units))
    stats = [Stat("Units", view.count)]
    if pictures:
        places = settings.get("images") or []
        stats.append(Stat("Pictures", f"{pictures:,}", ", ".join(map(str, places))))
    stats.append(named("Layer", layers, "Layers"))
    if len(rows) == 1:
        stats.append(Stat("Receptive field", str(rows[0].get("receptive_field"))))
    if silent := sum(row.get("silent") or 0 for row in rows):
        stats.append(Stat("Silent units", f"{silent:,}", "constant over all pictures"))
    stats += view.settings_stats("objective", "measure") + view.weights()
    return render_page(
        "patches",
        view,
        parts=["listing", "layers", "scale", "chart"],
        subtitle=kind,
        stats=stats,
        notices=notices,
        data={
            "latents": view.latents,
            "size": list(view.shape or (1, 1)),
            "fields": {str(row.get("layer")): str(row.get("receptive_field")) for row in rows},
            "layers": layers,
            "units": [
                {
                    "layer": str(unit.get("layer")),
                    "channel": unit.get("channel"),
                    "name": unit.get("name"),
                    "objective": unit.get("objective"),
                    "file": unit.get("file"),
                    "maps": picture_url(unit.get("file")),
                    "metrics": {
                        **(unit.get("metrics") or {}),
                        **{kind: located((unit.get("metrics") or {}).get(kind)) for kind in ("most", "least")},
                    },
                }
                for unit in units
            ],
        },
    )
