"""The page of an output folder: one HTML file that opens from disk, rendered from the manifest alone.

`render_page` builds what the pages of all recipes share (shell, style, header, lightbox, keys); a recipe adds
`assets/RECIPE.html`, `.css` and `.js`, and passes the header's stats and the page's data, as `gallery/page.py` does.

All content of a manifest is treated as text: it is escaped in the header, and passed to the scripts as JSON in which no
tag can begin. A Content-Security-Policy allows only the page's own style and scripts, by hash.
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
from typing import Any
from urllib.parse import quote

from recipes.pages.manifest_view import ManifestView, Stat, as_text

__all__ = ["located", "picture_url", "render_page"]

_ASSETS = resources.files("recipes.pages") / "assets"
_LARGEST_EXACT = 2**53 - 1  # the largest integer that JavaScript represents exactly; seeds may be larger


def render_page(
    recipe: str,
    view: ManifestView,
    *,
    subtitle: str,
    title: str = "",
    stats: Iterable[Stat],
    notices: Iterable[str],
    data: Any,
    parts: Sequence[str] = (),
) -> str:
    """Renders a page: the common shell around `assets/RECIPE.html`, with the recipe's style and script.

    Args:
        recipe: name of the recipe's three files in `assets/`; from our own code, never from a manifest.
        view: the manifest: heading, origin, and the tables in the collapsed part of the header.
        subtitle: plain text next to the heading.
        title: plain text of the heading; by default the manifest's.
        stats: the stats in the header, in order.
        notices: plain sentences that the reader must not miss.
        data: input of the scripts; anything that `json` can serialise.
        parts: names of further files in `assets/`, each a script with an optional style, before the recipe's own.

    Returns:
        The HTML document.
    """
    names = ("page", *parts, recipe)
    styles = [_asset(f"{name}.css") for name in names if (_ASSETS / f"{name}.css").is_file()]
    scripts = [_asset(f"{name}.js") for name in names]
    policy = (
        f"default-src 'none'; img-src 'self' file: data:; media-src 'self' file:; style-src {_hashes(styles)}; "
        f"script-src {_hashes(scripts)}; base-uri 'none'; form-action 'none'"
    )
    return Template(_asset("page.html")).substitute(
        policy=policy,
        title=_escape(title or view.title),
        subtitle=_escape(subtitle),
        origin=_escape(view.origin),
        stats="\n".join(_stat(stat) for stat in stats),
        notices="\n".join(f'<p class="notice">{_escape(notice)}</p>' for notice in notices),
        details="\n".join(_table(heading, rows) for heading, rows in view.details.items() if rows),
        body=_asset(f"{recipe}.html"),
        data=_json(data),
        styles="\n".join(f"<style>{style}</style>" for style in styles),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def picture_url(file: object) -> str | None:
    """The relative URL of a picture file, each segment of its path encoded; None if it leaves the folder.

    The colon is encoded too, so that a name like `javascript:x` stays a file name; `surrogateescape` restores the bytes
    of names that are not UTF-8.

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
    """Adds the URL of each patch's dataset picture, as `source`."""
    return [{**patch, "source": picture_url(patch.get("picture"))} for patch in patches or []]


def _escape(text: str) -> str:
    """Escapes text for HTML; a lone surrogate, which UTF-8 cannot encode, becomes a question mark."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


def _stat(stat: Stat) -> str:
    hint = f' title="{_escape(stat.hint)}"' if stat.hint else ""
    return f"<div{hint}><dt>{_escape(stat.label)}</dt><dd>{_escape(stat.value)}</dd></div>"


def _table(heading: str, rows: Mapping[str, Any]) -> str:
    cells = ((_escape(str(name)), _escape(as_text(value))) for name, value in rows.items())
    body = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in cells)
    return f"<table><caption>{_escape(heading)}</caption><tbody>{body}</tbody></table>"


def _json(data: Any) -> str:
    """Serialises JSON for a script element: without `<` it can neither end the element nor open a comment."""
    return json.dumps(_plain(data), allow_nan=False, separators=(",", ":"), default=str).replace("<", "\\u003c")


def _plain(value: Any) -> Any:
    """Replaces what JSON and JavaScript cannot represent: non-finite numbers by null, integers past 2^53 by text."""
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
