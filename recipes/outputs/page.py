"""The page of an output folder: one HTML file that opens from disk, made from the manifest alone.

`render_page` builds what every recipe's page shares (shell, style, header with figures, lightbox, keys); a recipe adds
`assets/RECIPE.html`, `.css` and `.js` and says which figures and which data its page has, as `render_gallery` does.

Whatever a manifest holds is text: it is escaped on its way into the header, and travels to the scripts as JSON in which
no tag can begin. A Content-Security-Policy that knows the page's own style and scripts by hash keeps out all others.
"""

import base64
import hashlib
import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from string import Template
from typing import Any, NamedTuple
from urllib.parse import quote

__all__ = ["Figure", "duration", "located", "picture_shape", "picture_url", "render_gallery", "render_page"]

_ASSETS = resources.files("recipes.outputs") / "assets"
_LARGEST_EXACT = 2**53 - 1  # the largest integer that a script's numbers hold exactly; seeds may be larger


class Figure(NamedTuple):
    """One figure of the header: a label, a value, and a longer text that shows on hover."""

    label: str
    value: str
    hint: str = ""


def render_gallery(manifest: Mapping[str, Any], kind: str = "Neuron gallery") -> str:
    """Return the complete `index.html` of a gallery, from its manifest alone.

    Args:
        manifest: the content of `manifest.json`. Only `units` is needed to show pictures; every other key that is
            missing leaves its figure out. An optional `planned` is the number of units that the whole run makes. Where
            a unit's `figures` hold lists of likeliest classes, they stand below its picture.
        kind: what the page is, for people.

    Returns:
        One self-contained HTML document; its pictures are found at the units' `file`, relative to the page.

    Example:
        >>> page = render_gallery({"recipe": "gallery", "units": []})
        >>> page.startswith("<!doctype html>")
        True
    """
    settings, model, units = manifest.get("settings") or {}, manifest.get("model") or {}, manifest.get("units") or []
    spec = str(model.get("spec") or settings.get("model") or "network")
    layers, groups = _layer_order(settings.get("layer"), units), _groups(units)
    shape = picture_shape(settings.get("size")) or picture_shape(model.get("input_size"))
    planned = manifest.get("planned")
    unfinished = isinstance(planned, int) and planned > len(units)
    count = f"{len(units):,} of {planned:,}" if unfinished else f"{len(units):,}"
    stopped = sum(unit.get("status", "ok") != "ok" for unit in units)

    notices = [f"This run is not finished: {count} units. While it goes on, reload to see more."] if unfinished else []
    if stopped:
        notices.append(f"{stopped:,} of {len(units):,} units did not end well; each is marked with its status.")
    return render_page(
        "gallery",
        title=str(manifest.get("title") or spec),
        subtitle=f"{kind} · {spec}" if manifest.get("title") else kind,
        origin=f"{manifest.get('created', '')} · inverter {manifest.get('inverter', '')}".strip(" ·"),
        figures=[Figure("Units", count), *_gallery_figures(settings, model, units, layers, len(groups), shape)],
        notices=notices,
        details={"Settings": settings, "Model": model, "Versions": manifest.get("versions") or {}},
        data={
            "layers": layers,
            "groups": groups,
            "aspect": shape[1] / shape[0] if shape else 1,
            "size": shape or (1, 1),
        },
        parts=["listing", "layers"],
    )


def render_page(
    recipe: str,
    *,
    title: str,
    subtitle: str,
    origin: str,
    figures: Iterable[Figure],
    notices: Iterable[str],
    details: Mapping[str, Mapping[str, Any]],
    data: Any,
    parts: Sequence[str] = (),
) -> str:
    """Return a page: the common shell around `assets/RECIPE.html`, the recipe's style and script after the common ones.

    Args:
        recipe: the name of the recipe's three files in `assets/`; from our own code, never from a manifest.
        title: plain text of the heading.
        subtitle: plain text beside it.
        origin: plain text that says when, and with which version, the page was made.
        figures: the figures that the header shows, in order.
        notices: plain sentences that the reader must not miss.
        details: tables (heading -> name -> value) in the collapsed part of the header.
        data: what the scripts read; anything that `json` can write.
        parts: names of further files in `assets/`, a script and perhaps a style each, before the recipe's own.
    """
    names = ("page", *parts, recipe)
    styles = [_asset(f"{name}.css") for name in names if (_ASSETS / f"{name}.css").is_file()]
    scripts = [_asset(f"{name}.js") for name in names]
    policy = (
        f"default-src 'none'; img-src 'self' file: data:; style-src {_hashes(styles)}; script-src {_hashes(scripts)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(_asset("page.html")).substitute(
        policy=policy,
        title=_escape(title),
        subtitle=_escape(subtitle),
        origin=_escape(origin),
        figures="\n".join(_figure(figure) for figure in figures),
        notices="\n".join(f'<p class="notice">{_escape(notice)}</p>' for notice in notices),
        details="\n".join(_table(heading, rows) for heading, rows in details.items() if rows),
        body=_asset(f"{recipe}.html"),
        data=_json(data),
        styles="\n".join(f"<style>{style}</style>" for style in styles),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def picture_url(file: object) -> str | None:
    """Return the relative URL of a picture file, each segment of its path encoded; None where it leaves the folder.

    Encoding the colon too keeps a name like `javascript:x` a file name, and `surrogateescape` gives back the bytes of
    names that are not UTF-8.

    Example:
        >>> picture_url("images/a #1/0003.png")
        'images/a%20%231/0003.png'
    """
    if not isinstance(file, str) or not file:
        return None
    segments = file.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        return None
    return "/".join(quote(segment, safe="", errors="surrogateescape") for segment in segments)


def located(patches: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Return patches of real pictures with the URL of each picture as `source`."""
    return [{**patch, "source": picture_url(patch.get("picture"))} for patch in patches or []]


def _gallery_figures(
    settings: Mapping[str, Any],
    model: Mapping[str, Any],
    units: Sequence[Mapping[str, Any]],
    layers: Sequence[str],
    groups: int,
    shape: tuple[int, int] | None,
) -> list[Figure]:
    """Return what the header says besides the number of units; a key that is missing leaves its figure out."""
    seconds = [unit["seconds"] for unit in units if _finite(unit.get("seconds"))]
    digest = str(model.get("sha256") or "")
    figures = []
    if groups != len(units):
        classes = settings.get("objective") in ("logit", "softmax")
        figures.append(Figure("Classes" if classes else "Channels", f"{groups:,}"))
    several = Figure("Layers", f"{len(layers):,}", ", ".join(layers))
    figures.append(Figure("Layer", layers[0]) if len(layers) == 1 else several)
    if seconds:
        total = sum(seconds)
        figures += [Figure("Time", duration(total)), Figure("Time a unit", duration(total / len(seconds)))]
    if shape:
        figures.append(Figure("Size", " by ".join(str(side) for side in dict.fromkeys(reversed(shape))) + " px"))
    figures += [
        Figure(name.capitalize(), _text(settings[name]))
        for name in ("preset", "steps", "objective", "prior", "judge", "dataset", "seed", "device")
        if settings.get(name) is not None
    ]
    if digest:
        figures.append(Figure("Weights sha256", f"{digest[:10]}…", f"{model.get('weights') or ''} {digest}".strip()))
    return figures


def _groups(units: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Gather the attempts of a neuron and its negative: what maximises first, each in the order of attempts."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for unit in units:
        key = (str(unit.get("layer")), str(unit.get("channel")), str(unit.get("objective")))
        shown = {**unit, "layer": key[0], "source": picture_url(unit.get("file"))}
        if patches := (unit.get("figures") or {}).get("patches"):
            shown["figures"] = {**unit["figures"], "patches": located(patches)}
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


def _layer_order(asked: object, units: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the layers that have units, in the order in which they were asked for, then of first appearance."""
    seen = list(dict.fromkeys(str(unit.get("layer")) for unit in units))
    wanted = [asked] if isinstance(asked, str) else asked if isinstance(asked, Sequence) else []
    first = [str(layer) for layer in dict.fromkeys(map(str, wanted)) if str(layer) in seen]
    return first + [layer for layer in seen if layer not in first]


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def picture_shape(size: object) -> tuple[int, int] | None:
    """Return (height, width) of a size given as one number or as a pair; None where it is neither."""
    pair = [size, size] if isinstance(size, int) else size
    if isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(side, int) and side > 0 for side in pair):
        return pair[0], pair[1]
    return None


def duration(seconds: float) -> str:
    """Return a time as a person says it: `9.4 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _text(value: object) -> str:
    """Return a setting as a reader wants it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return json.dumps(value, default=str) if isinstance(value, Mapping) else str(value)


def _escape(text: str) -> str:
    """Return text fit for HTML; a lone surrogate, which no file in UTF-8 can hold, becomes a question mark."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


def _figure(figure: Figure) -> str:
    hint = f' title="{_escape(figure.hint)}"' if figure.hint else ""
    return f"<div{hint}><dt>{_escape(figure.label)}</dt><dd>{_escape(figure.value)}</dd></div>"


def _table(heading: str, rows: Mapping[str, Any]) -> str:
    cells = ((_escape(str(name)), _escape(_text(value))) for name, value in rows.items())
    body = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in cells)
    return f"<table><caption>{_escape(heading)}</caption><tbody>{body}</tbody></table>"


def _json(data: Any) -> str:
    """Write JSON that can stand inside a script element: without `<` it can neither end it nor open a comment."""
    return json.dumps(_plain(data), allow_nan=False, separators=(",", ":"), default=str).replace("<", "\\u003c")


def _plain(value: Any) -> Any:
    """Replace what a script's JSON cannot hold: non-finite numbers become null, integers past 2^53 become text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > _LARGEST_EXACT:
        return str(value)
    return value


def _hashes(texts: Iterable[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


@cache
def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
