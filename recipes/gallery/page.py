"""The page of pictures by layer and channel: `inverter gallery` and `inverter classes`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recipes.evidence.report import evidence_stats, notices
from recipes.pages.by_picture import extra_urls
from recipes.pages.html import located, picture_url, render_page
from recipes.pages.manifest_view import ManifestView, Stat, named, took

__all__ = ["render_gallery"]


def render_gallery(manifest: Mapping[str, Any], kind: str = "Neuron gallery") -> str:
    """Renders the complete `index.html` of a gallery, from its manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is required; a stat whose key is missing is left out. An
            optional `planned` is the number of units of the complete run. Lists of predicted classes in a unit's
            `metrics` are shown below its picture.
        kind: name of the page, for readers.

    Returns:
        One self-contained HTML document; its pictures are the units' `file`, relative to the page.

    Example:
        >>> page = render_gallery({"recipe": "gallery", "units": []})
        >>> page.startswith("<!doctype html>")
        True
    """
    view = ManifestView(manifest)
    layers, groups = _layer_order(view.settings.get("layer"), view.units), _groups(view.units)
    shape = view.shape
    return render_page(
        "gallery",
        view,
        subtitle=f"{kind} · {view.spec}" if view.named else kind,
        stats=_stats(view, layers, len(groups)),
        notices=view.notices("unit") + notices(view.units),
        data={
            "layers": layers,
            "latents": view.latents,
            "faceted": bool(view.settings.get("facets")),
            "groups": groups,
            "aspect": view.aspect,
            "size": shape or (1, 1),
        },
        parts=["listing", "layers", "evidence", "film"],
    )


def _stats(view: ManifestView, layers: Sequence[str], groups: int) -> list[Stat]:
    stats = [Stat("Units", view.count)]
    if groups != len(view.units):
        classes = view.settings.get("objective") in ("logit", "softmax")
        latents = any(layer in view.latents for layer in layers)
        stats.append(Stat("Classes" if classes else "Latents" if latents else "Channels", f"{groups:,}"))
    stats += [named("Layer", layers, "Layers"), *took((unit.get("seconds") for unit in view.units), "unit")]
    if view.shape:
        stats.append(Stat("Size", " by ".join(str(side) for side in dict.fromkeys(reversed(view.shape))) + " px"))
    stats += view.settings_stats("preset", "steps", "objective", "prior", "facets", "judge", "images", "seed", "device")
    return stats + evidence_stats(view.rows) + view.weights()


def _groups(units: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups the pictures of each neuron: those that maximise it first, then its negative, each by attempt."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for unit in units:
        key = (str(unit.get("layer")), str(unit.get("channel")), str(unit.get("objective")))
        shown = {**unit, "layer": key[0], "source": picture_url(unit.get("file"))}
        if film := extra_urls(unit).get("video"):
            shown["film"] = film
        if patches := (unit.get("metrics") or {}).get("patches"):
            shown["metrics"] = {**unit["metrics"], "patches": located(patches)}
        groups.setdefault(key, []).append(shown)
    return [
        {
            "layer": layer,
            "channel": members[0].get("channel"),
            "name": next((str(member["name"]) for member in members if member.get("name")), None),
            "units": sorted(members, key=lambda unit: (unit.get("direction") == "min", unit.get("attempt") or 0)),
        }
        for (layer, _, _), members in groups.items()
    ]


def _layer_order(setting: object, units: Iterable[Mapping[str, Any]]) -> list[str]:
    """The layers that have units: first those of the `layer` setting, in its order, then in order of appearance."""
    present = list(dict.fromkeys(str(unit.get("layer")) for unit in units))
    requested = [setting] if isinstance(setting, str) else setting if isinstance(setting, Sequence) else []
    first = [str(layer) for layer in dict.fromkeys(map(str, requested)) if str(layer) in present]
    return first + [layer for layer in present if layer not in first]
