"""The page of `inverter craft`: the components by importance, then the photographs with all of them in colours."""

from collections.abc import Mapping
from typing import Any

from recipes.pages.by_picture import shown
from recipes.pages.html import render_page
from recipes.pages.manifest_view import ManifestView, Stat
from recipes.photo.neuron_groups import colours

__all__ = ["render_craft"]


def render_craft(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of components, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_craft({"recipe": "craft", "units": []}).startswith("<!doctype html>")
        True
    """
    view, units = ManifestView(manifest), [shown(unit) for unit in manifest.get("units") or []]
    components = [unit for unit in units if unit.get("channel") is not None]
    photographs = [unit for unit in units if unit.get("channel") is None]
    stats = [Stat("Photographs", f"{len(photographs):,}"), Stat("Components", f"{len(components):,}")]
    stats += view.settings_stats("class", "layer", "crop", "designs", "seed")
    errors = [unit["metrics"]["error"] for unit in components if unit["metrics"].get("error") is not None]
    if errors:
        stats.append(Stat("Unexplained", f"{100 * errors[0]:.0f} %", "|A - U W| / |A|, of the crops' activations A"))
    if kept := [unit["metrics"]["same_class"] for unit in photographs if "same_class" in unit["metrics"]]:
        hint = "photographs whose predicted class stays when the layer holds the components alone"
        stats.append(Stat("Class kept", f"{sum(map(bool, kept))} of {len(kept)}", hint))
    shape = view.shape
    return render_page(
        "craft",
        view,
        parts=["listing"],
        subtitle="Components (CRAFT)",
        stats=stats + view.weights(),
        notices=view.notices("picture"),
        data={
            "aspect": view.aspect,
            "size": list(shape or (1, 1)),
            "components": components,
            "photographs": photographs,
            "colours": colours(max((unit["channel"] for unit in components), default=0) + 1),
        },
    )
