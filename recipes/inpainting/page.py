"""The page of `inverter inpaint`: each picture masked, restored and original, side by side."""

from collections.abc import Mapping
from typing import Any

from recipes.outputs.vocabulary import MASKED, ORIGINAL
from recipes.pages.html import picture_url, render_page
from recipes.pages.manifest_view import ManifestView, Stat, took

__all__ = ["render_inpaint"]

KINDS = (MASKED, "restored", ORIGINAL)


def render_inpaint(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of restored pictures, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_inpaint({"recipe": "inpaint", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    units = [dict(unit, source=picture_url(unit.get("file"))) for unit in view.units]
    names = list(dict.fromkeys(str(unit.get("image")) for unit in units))
    return render_page(
        "inpaint",
        view,
        parts=["listing"],
        title=view.named or "Inpainting",
        subtitle="Missing pixels restored with the deep image prior",
        stats=_stats(view, units, len(names)),
        notices=view.notices("picture", of=len(names)),
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


def _stats(view: ManifestView, units: list[dict[str, Any]], pictures: int) -> list[Stat]:
    restored = [unit for unit in units if unit.get("objective") == "restored"]
    stats = [Stat("Pictures", f"{pictures:,}"), Stat("Restored", f"{len(restored):,}")]
    for label, key, form in (("Missing", "missing", "{:.1%}"), ("PSNR (missing pixels)", "psnr", "{:.1f} dB")):
        values = [stat for unit in restored if (stat := _number((unit.get("metrics") or {}).get(key))) is not None]
        if values:
            mean = form.format(sum(values) / len(values))
            range_ = f"mean; range {form.format(min(values))} to {form.format(max(values))}" if len(values) > 1 else ""
            stats.append(Stat(label, mean, range_))
    return stats + took(unit.get("seconds") for unit in restored) + view.settings_stats("steps", "seed")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None
