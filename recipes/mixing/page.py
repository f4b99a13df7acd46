"""The page of `inverter mix`: the pictures of each mixture, and how much of each term they show."""

from collections.abc import Mapping
from typing import Any

from recipes.pages.html import picture_url, render_page
from recipes.pages.manifest_view import ManifestView, Stat, took

__all__ = ["render_mix"]


def render_mix(manifest: Mapping[str, Any]) -> str:
    """Renders the complete `index.html` of mixtures, from their manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out.

    Returns:
        One self-contained HTML document.

    Example:
        >>> render_mix({"recipe": "mix", "units": []}).startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    mixtures: dict[str, list[dict[str, Any]]] = {}
    for unit in view.units:
        mixtures.setdefault(str(unit.get("name")), []).append({**unit, "source": picture_url(unit.get("file"))})
    return render_page(
        "mix",
        view,
        subtitle=f"Mixtures of units · {view.spec}" if view.named else "Mixtures of units",
        stats=[
            Stat("Pictures", view.count),
            *took((unit.get("seconds") for unit in view.units), "picture"),
            *view.settings_stats("term", "steps", "prior", "seed", "device"),
            *view.weights(),
        ],
        notices=view.notices("picture"),
        data={"mixtures": [{"name": name, "units": units} for name, units in mixtures.items()]},
        parts=["listing"],
    )
