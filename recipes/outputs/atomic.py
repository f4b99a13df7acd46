"""Atomic file writes: to a temporary file in the same folder, which is then renamed."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LEFT_BEHIND = 3600.0
"""Seconds after which a temporary file is considered abandoned by the run that created it."""


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file atomically: whoever opens `path` sees the old content or the complete new one.

    Args:
        path: the file; its folder is created.
        data: its content.

    Raises:
        OSError: if the folder cannot be written to, or the disk is full; it names the file. No partial file remains.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)  # of a killed process with the same id
    try:
        with partial.open("xb") as file:  # never through an existing link
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # otherwise a power cut can leave an empty file under the final name
        partial.replace(path)
    except OSError as error:
        if error.filename == str(path) or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Creates the folder of a file that will be written, and raises an `OSError` early if that is impossible."""
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; expected a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f"{str(path)!r} is below a file; expected a folder") from None
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"folder {str(path.parent)!r} is not writable")
    ours = re.compile(rf"\.({re.escape(path.name)}|{re.escape(path.stem)})\.\d+\.partial(\.\w+)?")
    for left in path.parent.iterdir():  # by a killed run; an active one modifies its files all the time
        if ours.fullmatch(left.name) and time.time() - left.stat().st_mtime > LEFT_BEHIND:
            left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_png(path: Path, image: Tensor, text: Mapping[str, str] | None = None, alpha: bool = False) -> None:
    """Writes a picture atomically, as an 8-bit PNG.

    Args:
        path: the file.
        image: (C, H, W) in [0, 1]: grey for one channel, coloured for three, else grey tiles, one for each.
        text: keyword -> text of the file's text chunks, as `provenance` makes them.
        alpha: True if the last channel is opacity.
    """
    from inverter.png import png
    from inverter.result import to_pil

    write_bytes(path, png(to_pil(image, alpha), text))


def write_npy(path: Path, image: Tensor) -> None:
    """Writes a tensor atomically, as an `.npy` file."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, image.detach().cpu().numpy(), allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_jpeg(path: Path, image: Tensor) -> None:
    """Writes a picture (C, H, W) in [0, 1] atomically, as a JPEG without chroma subsampling; see `visible`."""
    from inverter.result import to_pil
    from recipes.outputs.rendering.colormap import visible

    buffer = io.BytesIO()
    to_pil(visible(image)).save(buffer, format="JPEG", quality=95, subsampling=0)
    write_bytes(path, buffer.getvalue())


def unfinished(path: Path) -> Path:
    """Path for interrupted work, so that it never replaces a finished file: `a.png` -> `a-unfinished.png`."""
    return path.with_stem(f"{path.stem}-unfinished")
