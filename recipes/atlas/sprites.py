"""Icons of a grid, combined: one picture of the grid, and sprite sheets for a page that shows thousands of icons."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from inverter.png import png
from recipes.outputs.atomic import write_bytes, write_text

ACROSS = 16
"""Cells along each side of a sheet."""
LARGEST = 128
"""Maximum side of an icon in a sheet, in pixels."""
WIDEST = 4096
"""Maximum side of the picture of a grid, in pixels: 64 MB when decoded."""

Icons = Mapping[tuple[int, int], Path]
"""(row, column) -> picture file."""


def sheet_file(side: int, row: int, column: int) -> str:
    """The sheet of a cell of a `side` x `side` grid, as a path below the output folder."""
    return f"sheets/{side}-{row // ACROSS}-{column // ACROSS}.webp"


def tile_size(side: int, icon: int) -> int:
    """Side of an icon in the sheets and in the picture of a grid, in pixels, for icon files of `icon` pixels."""
    return max(8, min(icon, LARGEST, WIDEST // side))


def write_grid(folder: Path, side: int, icons: Icons, about: Mapping[str, str] | None = None) -> None:
    """Writes `atlas-SIDE.png` and the grid's sheets, each atomically; places without an icon are transparent.

    A sheet contains a square of neighbouring cells, so that a page draws many icons at once and fetches only those in
    view. `sheets/SIDE.txt` holds a digest of the icons: as long as it matches, the files are not written again.

    Args:
        folder: the output folder.
        side: cells along each side of the grid.
        icons: (row, column) -> picture file.
        about: text chunks of the picture, as `provenance` makes them.
    """
    if not icons:
        return
    note, made_of = folder / "sheets" / f"{side}.txt", _digest(icons)
    made = {folder / f"atlas-{side}.png", *(folder / sheet_file(side, row, column) for row, column in icons)}
    if note.is_file() and note.read_text() == made_of and all(file.is_file() for file in made):
        return
    note.unlink(missing_ok=True)  # it must not match incomplete sheets if this is interrupted
    with Image.open(next(iter(icons.values()))) as first:
        tile = tile_size(side, max(first.size))
    sheets: dict[str, Image.Image] = {}
    full = Image.new("RGBA", (side * tile, side * tile))
    for (row, column), file in icons.items():
        with Image.open(file) as picture:
            icon = picture.convert("RGBA")
        if icon.size != (tile, tile):
            icon = icon.resize((tile, tile), Image.Resampling.LANCZOS)
        across = min(ACROSS, side) * tile
        sheet = sheets.setdefault(sheet_file(side, row, column), Image.new("RGBA", (across, across)))
        sheet.paste(icon, (column % ACROSS * tile, row % ACROSS * tile))
        full.paste(icon, (column * tile, row * tile))
    for name, sheet in sheets.items():
        buffer = io.BytesIO()
        sheet.save(buffer, format="WEBP", quality=88, method=2)
        write_bytes(folder / name, buffer.getvalue())
    write_bytes(folder / f"atlas-{side}.png", png(full, about))
    write_text(note, made_of)


def _digest(icons: Icons) -> str:
    """SHA-256 of the icons' places and files."""
    digest = hashlib.sha256()
    for place, file in sorted(icons.items()):
        digest.update(f"{place}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
