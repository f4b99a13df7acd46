"""The page of `inverter patches`: for each unit, the patches of real pictures that excite it most and least."""

from collections.abc import Mapping
from typing import Any

from recipes.pages.html import located, picture_url, render_page
from recipes.pages.manifest_view import CONTINUES, ManifestView, Stat, named

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
    view = ManifestView(manifest)
    settings, units, rows = view.settings, view.units, view.rows
    notices = view.notices("units", CONTINUES)
    if skipped := max((row.get("skipped") or 0 for row in rows), default=0):
        notices.append(f"{skipped:,} pictures could not be read and were left out.")
    if any(row.get("sees") == "unknown" for row in rows):
        unknown = ", ".join(str(row.get("layer")) for row in rows if row.get("sees") == "unknown")
        notices.append(f"What the units of {unknown} see could not be followed: they are shown with whole pictures.")
    pictures = max((row.get("pictures") or 0 for row in rows), default=0)
    asked = settings.get("count")
    if isinstance(asked, int) and 0 < pictures < asked:
        notices.append(f"{asked} patches were asked for, but there are only {pictures} pictures.")
    layers = list(dict.fromkeys(str(unit.get("layer")) for unit in units))
    stats = [Stat("Units", view.count)]
    if pictures:
        places = settings.get("dataset") or []
        stats.append(Stat("Pictures", f"{pictures:,}", ", ".join(map(str, places))))
    stats.append(named("Layer", layers, "Layers"))
    if len(rows) == 1:
        stats.append(Stat("A unit sees", str(rows[0].get("sees"))))
    if silent := sum(row.get("silent") or 0 for row in rows):
        stats.append(Stat("Silent units", f"{silent:,}", "the same in all pictures"))
    stats += view.asked("objective") + view.weights()
    return render_page(
        "patches",
        view,
        parts=["listing", "layers"],
        subtitle="Top patches",
        stats=stats,
        notices=notices,
        data={
            "size": list(view.shape or (1, 1)),
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
                    "metrics": {
                        **(unit.get("metrics") or {}),
                        **{kind: located((unit.get("metrics") or {}).get(kind)) for kind in ("most", "least")},
                    },
                }
                for unit in units
            ],
        },
    )
