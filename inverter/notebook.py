"""How results and progress are shown in a notebook: as HTML that needs no other files, so that it can be exported."""

from __future__ import annotations

import base64
import html
import io
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

SIDE = 112
"""Pixels of a picture's longer side on the screen, at least: smaller ones are enlarged, each pixel as a square."""
LARGEST_FILE = 2**24
"""Bytes of a film or picture file that is shown, at most: a notebook keeps it in its own file."""
EVERY = 0.2
"""Seconds between two states of a bar."""
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".mp4": "video/mp4"}
"""Files that are shown, by suffix."""


def in_notebook() -> bool:
    """True where the code runs in a notebook (also in Colab, whose shell derives from that of IPython's kernel)."""
    known = sys.modules.get("IPython")
    shell = None if known is None else known.get_ipython()
    return any(parent.__name__ == "ZMQInteractiveShell" for parent in type(shell).__mro__)


def tile(picture: Image.Image, lines: Iterable[str], side: int | None = None, below: str = "") -> str:
    """A picture with its caption.

    Args:
        picture: of any size and mode.
        lines: of the caption, as plain text; empty ones are left out.
        side: pixels of the longer side, at most; None for the picture's own size.
        below: markup under the picture, such as its film.
    """
    shown = picture
    if side is not None and max(picture.size) > side:
        shown = picture.copy()
        shown.thumbnail((side, side))
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    scale = max(1.0, SIDE / max(shown.size))
    width, caption = round(scale * shown.width), "<br>".join(html.escape(line) for line in lines if line)
    pixels = ";image-rendering:pixelated" if scale > 1 else ""
    return (
        f'<figure style="margin:0;width:{max(width, SIDE)}px;max-width:100%;font-size:11px;line-height:1.3;'
        f'overflow-wrap:anywhere"><img src="{_data("image/png", buffer.getvalue())}" alt="" '
        f'style="width:{width}px;max-width:100%{pixels}">{below}<figcaption>{caption}</figcaption></figure>'
    )


def grid(tiles: Sequence[str]) -> str:
    """Tiles in rows that fill the width."""
    cells = "".join(tiles)
    return f'<div style="display:flex;flex-wrap:wrap;gap:6px">{cells}</div>' if cells else ""


def file(path: Path) -> str:
    """A film or a picture from disk; "" for a file of another kind, or one that is not there or too large."""
    kind = TYPES.get(path.suffix.lower())
    if kind is None or not path.is_file() or path.stat().st_size > LARGEST_FILE:
        return ""
    source, style = _data(kind, path.read_bytes()), 'style="display:block;max-width:100%"'
    if kind == "video/mp4":
        return f'<video src="{source}" {style} controls loop muted autoplay></video>'
    return f'<img src="{source}" alt="{html.escape(path.name)}" {style}>'


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of one form under the names of their values; "" where there are none."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return ""
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(number(row.get(name)))}</td>' for name in names)}</tr>" for row in rows
    )
    return f'<table style="margin:10px 0 0"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def number(value: Any) -> str:
    """A value of a table: numbers with three digits that count."""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"
    return "" if value is None else str(value)


class Bar:
    """A bar that shows progress in the output of the running cell. It takes IPython alone, which is there."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._last = 0.0

    def show(self, text: str, share: float) -> None:
        """Shows a state; of those that follow each other fast, some are left out.

        Args:
            text: to the right of the bar.
            share: of the work that is done, in [0, 1]; 1 is always shown.
        """
        from IPython.display import display

        now = time.monotonic()
        if self._handle is not None and share < 1 and now - self._last < EVERY:
            return
        self._last = now
        bar = f'<progress value="{share:.3f}" max="1" style="width:12em;vertical-align:middle"></progress>'
        state = {"text/plain": text, "text/html": f"<div>{bar} <small>{html.escape(text)}</small></div>"}
        if self._handle is None:
            self._handle = display(state, raw=True, display_id=True)
        else:
            self._handle.update(state, raw=True)


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
