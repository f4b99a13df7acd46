"""A contact sheet: the pictures of a run with their labels, as one small picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inverter_errors import plural
from recipes.outputs.manifest import Record
from recipes.outputs.vocabulary import INPUTS

if TYPE_CHECKING:
    from PIL import Image, ImageFont

MOST = 240
"""Pictures on a sheet, at most: of more, as many are taken at even distances."""
FEW = 48
"""Up to this number of pictures they are shown twice as large."""
SIDE = 72
"""Pixels of the longer side of a picture, if there are many."""
MARGIN, LINE = 6, 12

Tile = Callable[[Path, Record], "Image.Image"]
"""The picture of a record, given the output folder."""


def label(record: Record) -> str:
    """A short name of a picture: its class, its input image, or its layer and channel."""
    number = "" if record.channel is None else str(record.channel)
    if record.name:
        return f"{number} {record.name}".strip()
    return record.image or "/".join(part for part in (record.layer, number) if part) or Path(record.file).stem


def picture(folder: Path, record: Record) -> Image.Image:
    """The picture of a record, from disk."""
    from PIL import Image

    with Image.open(folder / record.file) as found:
        found.load()
        return found.copy()


def contact_sheet(folder: Path, records: Sequence[Record], title: str, tile: Tile = picture) -> Image.Image:
    """Draws the pictures of a run side by side, each with its label, in their order.

    Args:
        folder: the output folder.
        records: of the pictures; those whose file cannot be read are left out.
        title: of the sheet.
        tile: makes the picture of a record.

    Returns:
        An RGB picture of at most about 1300 pixels across.
    """
    from PIL import Image, ImageDraw

    shown = [records[i * len(records) // MOST] for i in range(MOST)] if len(records) > MOST else records
    side = SIDE if len(shown) > FEW else 2 * SIDE
    tiles = [(record, found) for record in shown if (found := _thumbnail(folder, record, tile, side))]
    columns = max(1, min(len(tiles), 1300 // (side + MARGIN), max(4, math.ceil(math.sqrt(1.6 * len(tiles))))))
    rows, pitch = -(-len(tiles) // columns), (side + MARGIN, max((t.height for _, t in tiles), default=0))
    high = pitch[1] + 2 * LINE + MARGIN
    head = MARGIN + LINE + MARGIN
    wide = max(columns * pitch[0] + MARGIN, 320)
    sheet = Image.new("RGB", (wide, head + rows * high + MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), _font()
    number = plural(len(records), "picture")
    number = f"{len(tiles):,} of {number}" if len(tiles) < len(records) else number
    _write(draw, (MARGIN, MARGIN), f"{title} · {number}", wide - 2 * MARGIN, "black", font)
    for place, (record, found) in enumerate(tiles):
        left, top = MARGIN + place % columns * pitch[0], head + place // columns * high
        sheet.paste(found, (left + (side - found.width) // 2, top + (pitch[1] - found.height) // 2))
        score = "" if record.score is None else f"{record.score:.4g}"
        _write(draw, (left, top + pitch[1] + 1), label(record), side, "black", font)
        _write(draw, (left, top + pitch[1] + LINE), " ".join(filter(None, [kind(record), score])), side, "#666", font)
    return sheet


def encoded(sheet: Image.Image, about: Mapping[str, str] | None = None) -> bytes:
    """A sheet as a PNG of 256 colours, a third of the size of one of all, with the text chunks `about`."""
    from PIL import Image

    from inverter.png import png

    few = sheet.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.FLOYDSTEINBERG)
    return png(few, about, optimize=True)


def kind(record: Record) -> str:
    """What tells pictures with the same label apart."""
    if record.status != "ok":
        return record.status
    attempt = f"#{record.attempt + 1}" if record.attempt else ""
    method = str(record.metrics.get("method", "")) or (record.prior or "")
    method = "" if record.objective in INPUTS else method
    layer = record.layer if record.image and not record.name else ""  # several pre-images of one picture
    return " ".join(filter(None, ["min" if record.direction == "min" else "", attempt, layer, method]))


def _thumbnail(folder: Path, record: Record, tile: Tile, side: int) -> Image.Image | None:
    from PIL import Image

    try:
        found = tile(folder, record)
    except OSError:
        return None
    if found.has_transparency_data:
        found = Image.alpha_composite(Image.new("RGBA", found.size, "white"), found.convert("RGBA"))
    found = found.convert("RGB")
    scale = side / max(found.size)
    size = max(1, round(scale * found.width)), max(1, round(scale * found.height))
    return found.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.load_default(10)


def _write(draw, where, text: str, width: int, fill: str, font) -> None:  # type: ignore[no-untyped-def]
    """Writes one line, cut off where it would be wider than `width`."""
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    try:
        if draw.textlength(text, font=font) > width:
            while text and draw.textlength(text + "…", font=font) > width:
                text = text[:-1]
            text += "…"
        draw.text(where, text, fill=fill, font=font)
    except UnicodeEncodeError:  # the bitmap font of a Pillow without FreeType knows Latin letters only
        draw.text(where, text.encode("latin-1", "replace").decode("latin-1"), fill=fill, font=font)
