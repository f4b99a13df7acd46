"""PNG files that say in text chunks what made them: a picture that has left its folder still does."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping

from PIL import Image
from PIL.PngImagePlugin import PngInfo

STRATEGY = zlib.Z_RLE
"""Of compression: optimised pictures are noise to it, and become as small in half the time (BENCHMARKS.md)."""


def software() -> str:
    """The value of the chunk `Software`."""
    from inverter import __version__

    return f"inverter {__version__}"


def png(picture: Image.Image, about: Mapping[str, str] | None = None, optimize: bool = False) -> bytes:
    """Encodes a picture as PNG.

    Args:
        picture: the picture.
        about: keyword -> text, written as text chunks; characters that UTF-8 cannot encode become question marks.
        optimize: whether to spend more time on a smaller file.

    Returns:
        The content of the file.

    Example:
        >>> file = png(Image.new("L", (2, 2)), {"Software": software(), "layer": "features.9"})
        >>> Image.open(io.BytesIO(file)).text["layer"]
        'features.9'
    """
    chunks, buffer = PngInfo(), io.BytesIO()
    for keyword, value in (about or {}).items():
        chunks.add_text(keyword, value.encode("utf-8", "replace").decode())
    how = {"optimize": True} if optimize else {"compress_type": STRATEGY}
    picture.save(buffer, format="PNG", pnginfo=chunks, **how)
    return buffer.getvalue()
