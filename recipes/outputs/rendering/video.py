"""Frames as a video file: written to a temporary file in the same folder, which is then renamed."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, MissingLibrary
from recipes.outputs.atomic import unfinished, write_bytes
from recipes.outputs.rendering.showing import Showing

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

FORMATS = (".gif", ".mp4")
AS_THEY_ARE = Showing()
SAMPLE = 56
"""Pixels of a frame's longer side from which the colours of a GIF are chosen."""


def check_video(path: Path) -> None:
    """Checks that a video can be written to `path`, before any work is done.

    Args:
        path: the file.

    Raises:
        BadInput: for a suffix other than .mp4 or .gif, or a NUL byte.
        MissingLibrary: if no encoder for .mp4 is installed.
    """
    if path.suffix.lower() not in FORMATS or "\0" in str(path):
        raise BadInput(f"video {str(path)!r}: expected a file that ends in {' or '.join(FORMATS)}")
    if path.suffix.lower() == ".mp4":
        try:
            import imageio_ffmpeg

            imageio_ffmpeg.get_ffmpeg_exe()
        except (ImportError, RuntimeError):  # not installed, or without a program for this machine
            raise MissingLibrary(
                f"video {path} needs an encoder: pip install 'inverter-vis[video]', or write a .gif"
            ) from None


@contextmanager
def open_video(path: Path, fps: int, showing: Showing = AS_THEY_ARE) -> Iterator[Callable[[Tensor], None]]:
    """Opens a video and yields a function that appends a frame (C, H, W) in [0, 1]; frames are not kept in memory.

    The file is created when the context ends. After Ctrl-C the frames so far are saved as `unfinished(path)`; after
    any other error no file is left.

    Args:
        path: the file, .mp4 or .gif.
        fps: frames per second.
        showing: which channels of the frames are shown.

    Raises:
        BadInput: for another suffix.
        MissingLibrary: if no encoder for .mp4 is installed.
        OSError: if it cannot be written.
    """
    import imageio.v2 as imageio
    import numpy as np

    from inverter.result import to_pil

    check_video(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix.lower()}")  # the suffix sets the encoder
    gif = path.suffix.lower() == ".gif"
    more = {"duration": 1000 / fps, "loop": 0} if gif else {"fps": fps, "macro_block_size": 2}
    frames = 0

    def append(image: Tensor) -> None:
        nonlocal frames
        writer.append_data(np.asarray(to_pil(showing.picture(image))))
        frames += 1

    try:
        writer: Any = imageio.get_writer(partial, mode="I", **more)
        try:
            # Frames are written in a separate thread, where Ctrl-C cannot interrupt one (or kill the encoder).
            with closing(writer), ThreadPoolExecutor(1) as hand:
                yield lambda image: hand.submit(append, image).result()
        except KeyboardInterrupt:
            if frames:
                partial.replace(unfinished(path))
            raise
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_video(path: Path, frames: Sequence[Tensor], fps: int, showing: Showing = AS_THEY_ARE) -> None:
    """Writes a short video whose frames are in memory, atomically: all of it or none.

    A GIF has 256 colours for all of its frames together, in which each is dithered: a third smaller than with colours
    of their own, and without flicker.

    Args:
        path: the file, .mp4 or .gif.
        frames: each (C, H, W) in [0, 1], of one size.
        fps: frames per second.
        showing: which channels of the frames are shown.

    Raises:
        BadInput: for another suffix.
        MissingLibrary: if no encoder for .mp4 is installed.
        OSError: if it cannot be written.
    """
    from inverter.result import to_pil

    check_video(path)
    if path.suffix.lower() == ".gif":
        write_bytes(path, _gif([to_pil(showing.picture(frame)) for frame in frames], fps))
        return
    try:
        with open_video(path, fps, showing) as append:
            for frame in frames:
                append(frame)
    except KeyboardInterrupt:
        unfinished(path).unlink(missing_ok=True)  # its picture will be made again
        raise


def _gif(pictures: Sequence[Image.Image], fps: int) -> bytes:
    from PIL import Image

    across, scale = len(pictures), SAMPLE / max(pictures[0].size)
    size = max(1, round(scale * pictures[0].width)), max(1, round(scale * pictures[0].height))
    strip = Image.new("RGB", (across * size[0], size[1]))
    for place, picture in enumerate(pictures):
        strip.paste(picture.resize(size, Image.Resampling.NEAREST), (place * size[0], 0))
    palette = strip.quantize(256)
    first, *others = [picture.convert("RGB").quantize(palette=palette) for picture in pictures]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=round(1000 / fps), loop=0)
    return buffer.getvalue()
