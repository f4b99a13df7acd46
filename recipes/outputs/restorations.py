"""The page of `inverter inpaint`: each picture as it is known, as it was restored, and as it was, side by side."""

from collections.abc import Mapping
from typing import Any

from recipes.outputs.page import Figure, duration, picture_url, render_page

__all__ = ["render_inpaint"]

KINDS = ("masked", "restored", "original")


def render_inpaint(manifest: Mapping[str, Any]) -> str:
    """Return the complete `index.html` of restored pictures, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is needed to show pictures; every other key that is
            missing leaves its figure out.

    Example:
        >>> render_inpaint({"recipe": "inpaint", "units": []}).startswith("<!doctype html>")
        True
    """
    settings = manifest.get("settings") or {}
    units = [dict(unit, source=picture_url(unit.get("file"))) for unit in manifest.get("units") or []]
    names = list(dict.fromkeys(str(unit.get("image")) for unit in units))
    planned, stopped = manifest.get("planned"), sum(unit.get("status", "ok") != "ok" for unit in units)
    notices = []
    if isinstance(planned, int) and planned > len(units):
        count = f"{len(units):,} of {planned:,} pictures"
        notices.append(f"This run is not finished: {count}. While it goes on, reload to see more.")
    if stopped:
        notices.append(f"{stopped:,} of {len(names):,} pictures did not end well; each is marked with its status.")
    return render_page(
        "inpaint",
        parts=["listing"],
        title=str(manifest.get("title") or "Inpainting"),
        subtitle="Missing pixels, restored by the deep image prior",
        origin=f"{manifest.get('created', '')} · inverter {manifest.get('inverter', '')}".strip(" ·"),
        figures=_figures(settings, units, len(names)),
        notices=notices,
        details={"Settings": settings, "Versions": manifest.get("versions") or {}},
        data=[
            {
                "name": name,
                "units": [
                    unit
                    for kind in KINDS
                    for unit in units
                    if unit.get("objective") == kind and str(unit.get("image")) == name
                ],
            }
            for name in names
        ],
    )


def _figures(settings: Mapping[str, Any], units: list[dict[str, Any]], pictures: int) -> list[Figure]:
    restored = [unit for unit in units if unit.get("objective") == "restored"]
    figures = [Figure("Pictures", f"{pictures:,}"), Figure("Restored", f"{len(restored):,}")]
    for label, key, form in (("Missing", "missing", "{:.1%}"), ("PSNR of the missing", "psnr", "{:.1f} dB")):
        values = [figure for unit in restored if (figure := _number((unit.get("figures") or {}).get(key))) is not None]
        if values:
            mean = form.format(sum(values) / len(values))
            range_ = f"mean; from {form.format(min(values))} to {form.format(max(values))}" if len(values) > 1 else ""
            figures.append(Figure(label, mean, range_))
    seconds = [value for unit in restored if (value := _number(unit.get("seconds"))) is not None]
    if seconds:
        figures.append(Figure("Time", duration(sum(seconds))))
    asked = {name: settings.get(name) for name in ("steps", "seed")}
    return figures + [Figure(name.capitalize(), str(value)) for name, value in asked.items() if value is not None]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None
