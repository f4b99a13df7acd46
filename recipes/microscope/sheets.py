"""Sprite sheets: many small pictures in one WebP file, so that a page of thousands fetches few files."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps

from recipes.outputs.atomic import write_bytes, write_text

NOTE = "sheets.json"
"""File, next to the sheets, of what they were made from: those that would be the same are not written again."""
REST = (128, 128, 128)
"""Colour where a picture does not fill its tile."""


class Tile(NamedTuple):
    """A picture in a sheet.

    Attributes:
        file: of the picture; None for an empty tile.
        window: the part of it that is shown: top, left, bottom, right in pixels; None for all.
    """

    file: Path | None
    window: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Form:
    """The form of a kind of sheet.

    Attributes:
        name: how the names of its files begin.
        width: of a tile in pixels.
        height: of a tile in pixels.
        across: tiles in a row.
        down: rows in a sheet, at most.
        quality: of WebP, 0 to 100; lossless for 100.
    """

    name: str
    width: int
    height: int
    across: int
    down: int
    quality: int = 80


def write_sheets(folder: Path, form: Form, tiles: Sequence[Tile]) -> None:
    """Writes the sheets of some tiles, in rows: `NAME0.webp`, `NAME1.webp` and so on; removes those of an earlier form.

    Args:
        folder: of the sheets.
        form: their form.
        tiles: in order.
    """
    note = folder / NOTE
    known: dict[str, str] = json.loads(note.read_bytes()) if note.is_file() else {}
    each, made = form.across * form.down, dict[str, str]()
    for number, start in enumerate(range(0, len(tiles), each)):
        some, name = tiles[start : start + each], f"{form.name}{number}.webp"
        made[name] = _digest(form, some)
        if known.get(name) != made[name] or not (folder / name).is_file():
            write_bytes(folder / name, _sheet(form, some))
    for name in known.keys() - made.keys():
        if name.removeprefix(form.name).removesuffix(".webp").isdecimal():
            (folder / name).unlink(missing_ok=True)
            known.pop(name)
    if made.items() - known.items():
        write_text(note, json.dumps(known | made, indent=1))


def tile_side(file: Path, longest: int) -> tuple[int, int]:
    """(width, height) of the tiles of pictures like one, in pixels: no longer than `longest`, and never enlarged.

    Args:
        file: of a picture.
        longest: of the tile's sides.
    """
    with Image.open(file) as picture:
        width, height = picture.size
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _sheet(form: Form, tiles: Sequence[Tile]) -> bytes:
    rows = -(-len(tiles) // form.across)
    sheet = Image.new("RGB", (form.across * form.width, rows * form.height), REST)
    for place, tile in enumerate(tiles):
        if tile.file is not None and tile.file.is_file():
            corner = (place % form.across * form.width, place // form.across * form.height)
            sheet.paste(_tile(form, tile), corner)
    buffer = io.BytesIO()
    sheet.save(buffer, format="WEBP", quality=form.quality, lossless=form.quality == 100, method=2)
    return buffer.getvalue()


def _tile(form: Form, tile: Tile) -> Image.Image:
    assert tile.file is not None
    size = form.width, form.height
    if tile.window is None:
        with Image.open(tile.file) as picture:
            shown = picture.convert("RGB")
    else:
        top, left, bottom, right = tile.window
        shown = _photograph(tile.file).crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    return shown if shown.size == size else ImageOps.pad(shown, size, Image.Resampling.LANCZOS, color=REST)


@lru_cache(512)
def _photograph(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")


def _digest(form: Form, tiles: Sequence[Tile]) -> str:
    """Of what a sheet is made of: the form, and each picture's file, time, size and window."""
    digest = hashlib.blake2b(repr(form).encode(), digest_size=12)
    stamp: Callable[[Path], object] = lambda file: (file.stat().st_mtime_ns, file.stat().st_size)  # noqa: E731
    for file, window in tiles:
        about = stamp(file) if file is not None and file.is_file() else None
        digest.update(repr((str(file), about, window)).encode(errors="surrogateescape"))
    return digest.hexdigest()
