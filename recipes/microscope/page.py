"""The pages of a site, from its data alone: the network, a layer with its units, the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inverter_errors import plural
from recipes.options.names import OUTPUT_LAYER
from recipes.pages.html import render_page
from recipes.pages.manifest_view import ManifestView, Stat

__all__ = ["render_index", "render_layer", "render_search"]


def render_index(manifest: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """The page of the network: a column of its layers.

    Args:
        manifest: of the site; of its units only the number counts.
        data: of all pages.
    """
    view = ManifestView(manifest)
    layers, names = data["layers"], [each["name"] for each in data["layers"]]
    stats = [
        Stat("Layers", f"{sum(name != OUTPUT_LAYER for name in names):,}"),
        Stat("Units", f"{sum(each['count'] for each in layers if each['name'] != OUTPUT_LAYER):,}"),
    ]
    if OUTPUT_LAYER in names:
        stats.append(Stat("Classes", f"{layers[names.index(OUTPUT_LAYER)]['count']:,}"))
    parameters = view.model.get("parameters")
    if isinstance(parameters, int):
        stats.append(Stat("Parameters", f"{parameters:,}"))
    return _page(
        "index", view, f"Microscope · {view.spec}" if view.named else "Microscope", stats, {**data, "root": ""}
    )


def render_layer(manifest: Mapping[str, Any], facts: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """The page of a layer: the grid of its units, and each of them at `#unit-CHANNEL`.

    Args:
        manifest: as in `render_index`.
        facts: of the layer.
        data: of all pages and of this one.
    """
    view = ManifestView(manifest)
    layer = str(facts["layer"])
    classes, count = layer == OUTPUT_LAYER, data["layers"][data["place"]]["count"]
    stats = [Stat("Classes" if classes else "Units", f"{count:,}")]
    if not classes:
        stats += [Stat("Kind", str(facts["type"] or "tensor")), Stat("Shape", shape_text(facts["shape"]))]
        stats.append(Stat("Receptive field", field_text(facts["field"]), "part of the picture that a unit depends on"))
    if data["pictures"]:
        stats.append(Stat("Photographs", f"{data['pictures']:,}", "searched for top patches"))
    title = "Classes" if classes else layer
    return _page("layer", view, view.spec, stats, {**data, "root": "../"}, title)


def render_search(manifest: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """The page that finds units by name and class, through all layers.

    Args:
        manifest: as in `render_index`.
        data: of all pages and of this one.
    """
    view = ManifestView(manifest)
    stats = [Stat("Searched", plural(len(data["units"]), "unit"))]
    return _page("search", view, view.spec, stats, {**data, "root": ""}, "Search")


def shape_text(shape: list[int]) -> str:
    """The shape of a layer's activation, for readers.

    Example:
        >>> shape_text([96, 109, 109]), shape_text([192])
        ('96 × 109 × 109', '192')
    """
    return " × ".join(map(str, shape))


def field_text(field: str | None) -> str:
    """A receptive field, for readers.

    Example:
        >>> field_text("31"), field_text("all"), field_text(None)
        ('31 px', 'full picture', 'unknown')
    """
    return {None: "unknown", "all": "full picture"}.get(field, f"{field} px")


def _page(
    kind: str, view: ManifestView, subtitle: str, stats: list[Stat], data: Mapping[str, Any], title: str = ""
) -> str:
    notices = []
    if view.planned is not None:
        notices.append(
            f"This site is not finished: it has pictures of {len(view.units):,} of {view.planned:,} units. The same "
            "command goes on; reload the page to see more."
        )
    parts = ["chart", "evidence", "microscope"] if kind == "layer" else ["microscope"]
    return render_page(
        f"microscope_{kind}",
        view,
        subtitle=subtitle,
        title=title,
        stats=stats,
        notices=notices if kind != "search" else [],
        data=data,
        parts=parts,
    )
