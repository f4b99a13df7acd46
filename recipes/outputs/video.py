"""Frames as a video file: written beside its place, then renamed into it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = (".gif", ".mp4")


def check_video(path: Path) -> None:
    """Raises if no video can be written to `path`, before any work is done.

    Raises:
        ValueError: for another suffix than .mp4 or .gif.
        ModuleNotFoundError: if .mp4 has no encoder here.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"video {str(path)!r}: expected a file that ends in {' or '.join(FORMATS)}")
    if path.suffix.lower() == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ModuleNotFoundError(f"video {path} needs an encoder: pip install 'inverter[video]', or write a .gif")


@contextmanager
def open_video(path: Path, fps: int) -> Iterator[Callable[[Tensor], None]]:
    """A function that appends a frame (3, H, W) in [0, 1]; the file appears when the context ends without error.

    Raises:
        ValueError, ModuleNotFoundError: as `check_video`.
        OSError: if it cannot be written.
    """
    import imageio.v2 as imageio
    import numpy as np

    from inverter.result import to_pil

    check_video(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix.lower()}")  # the suffix chooses the encoder
    gif = path.suffix.lower() == ".gif"
    more = {"duration": 1000 / fps, "loop": 0} if gif else {"fps": fps, "macro_block_size": 2}
    try:
        with imageio.get_writer(partial, mode="I", **more) as writer:
            append: Callable[[Any], None] = getattr(writer, "append_data")  # noqa: B009 - its stubs do not tell of it
            yield lambda frame: append(np.asarray(to_pil(frame)))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
