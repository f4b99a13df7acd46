"""Photographs that were dropped into a page: decoded with limits, and kept as files of the server's own making."""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from inverter_errors import InverterError
from recipes.explore.server.access import Refused
from recipes.options.fields import LARGEST
from recipes.pictures.reading import fit

if TYPE_CHECKING:
    from torch import Tensor

    from recipes.explore.session import Session

FOLDER = "photos"
MOST, LONGEST = 32, 1024
"""Photographs that are kept, and the longer side of each in pixels."""
PIXELS, DEEP = 40_000_000, 10_000_000
"""Pixels of a photograph that is taken, at most: with 8 bits, which can be shrunk while it is read, and with more."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Of Pillow; no others are tried."""
_ID = re.compile(r"[0-9a-f]{20}", re.ASCII)
GUESSES = 5
_one_at_a_time = threading.Lock()


def add(session: Session, content: bytes) -> dict[str, Any]:
    """Takes a photograph: of an animation the first frame, upright, without transparency, in 8 bits.

    Args:
        session: of the server.
        content: of an image file.

    Returns:
        As `describe`.

    Raises:
        Refused: for content that is no picture, a damaged one, or one of too many pixels.
    """
    from inverter.result import to_pil
    from recipes.outputs.atomic import write_bytes

    folder, buffer = session.out / FOLDER, io.BytesIO()
    to_pil(_decoded(content, folder)).save(buffer, "PNG")
    photo = hashlib.blake2b(buffer.getvalue(), digest_size=10).hexdigest()
    path = folder / f"{photo}.png"
    if not path.is_file():
        kept = [file for file in folder.glob("*.png") if _ID.fullmatch(file.stem)]
        known = sorted(kept, key=lambda file: file.stat().st_mtime)
        for old in known[: len(known) - MOST + 1]:
            old.unlink(missing_ok=True)
            session.photos.pop(old.stem, None)
        write_bytes(path, buffer.getvalue())
    return describe(session, photo)


def find(session: Session, photo: str) -> Path:
    """The file of a photograph, also of one from an earlier life of the server.

    Args:
        session: of the server.
        photo: its id.

    Raises:
        Refused: if there is none.
    """
    path = session.out / FOLDER / f"{photo}.png" if _ID.fullmatch(photo) else None
    if path is None or not path.is_file():
        raise Refused(404, "this photograph is not here any more: drop it again")
    return path


def describe(session: Session, photo: str) -> dict[str, Any]:
    """A photograph for pages: its id, address and size, and what the network takes it for.

    Args:
        session: of the server.
        photo: its id.

    Raises:
        Refused: if there is none.
    """
    path = find(session, photo)
    if photo not in session.photos:
        session.photos[photo] = _about(session, path)
    return {"photo": photo, "url": session.files.add(path), **session.photos[photo]}


def _about(session: Session, path: Path) -> dict[str, Any]:
    from recipes.activations.predictions import classifies, top_classes
    from recipes.pictures.reading import read_picture

    with Image.open(path) as file:
        width, height = file.size
    model, predictions = session.glance, []
    if len(model.mean) in (1, 3) and classifies(model):
        picture = fit(read_picture(path, len(model.mean)), model.input_size)[None]
        for guess in top_classes(model, picture, GUESSES)[0]:
            named = guess.index < len(model.categories)
            name = guess.name if named else None
            predictions.append({"name": name, "index": guess.index, "share": guess.probability})
    return {"width": width, "height": height, "predictions": predictions}


def _decoded(content: bytes, folder: Path) -> Tensor:
    """A picture (3, H, W) in [0, 1], small enough to work with.

    Raises:
        Refused: as `add`.
    """
    from recipes.pictures.reading import UNREADABLE, read_picture

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels, which are refused below
            file = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height, deep = *file.size, file.mode.startswith(("I", "F"))
    except UNREADABLE:
        raise Refused(400, "this is no picture that can be read: send a JPEG, PNG or WebP") from None
    if width * height > (DEEP if deep else PIXELS) or max(width, height) > LARGEST:
        raise Refused(413, f"the photograph has {width} x {height} pixels: send a smaller one")
    folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time, tempfile.NamedTemporaryFile(dir=folder, prefix=".upload-") as upload:
        upload.write(content)
        upload.flush()
        try:
            picture = read_picture(upload.name, 3, near=(LONGEST // 2, LONGEST // 2))
        except (InverterError, MemoryError) as error:
            reason = " ".join(str(error).split()).replace(upload.name, "the photograph")
            raise Refused(400, reason[:200] or "the photograph needs too much memory") from None
    scale = min(1.0, LONGEST / max(picture.shape[1:]))
    return fit(picture, (max(1, round(scale * picture.shape[1])), max(1, round(scale * picture.shape[2]))))
