"""Exclusive use of an output folder: locked, cleared of a killed run's temporary files, without links out of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inverter_errors import BadInput

LOCK = ".lock"
"""The file that a run locks. It is kept: removing it would allow a second lock while another run holds the first."""

DEEPEST = 3
"""Maximum depth of the folders that recipes write to, below an output folder."""

_PARTIAL = re.compile(r"\..+\.\d+\.partial(\.\w+)?")  # the temporary files of `atomic` and `video`


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Locks an output folder until the context ends; the folder is created if it is missing.

    The operating system holds the lock, so it ends with the process, however that exits. A run may lock its folder
    repeatedly. A folder that was created for a run and is still empty at the end is removed.

    Args:
        folder: the output folder.

    Raises:
        BadInput: if `folder` is a file, or a link in it leads out of it.
        BlockingIOError: if another run holds the lock.
        OSError: if it cannot be created or written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place, held(Path(place) / "out"):
        ...     (Path(place) / "out").is_dir()
        True
    """
    from filelock import FileLock, Timeout

    if folder.exists() and not folder.is_dir():
        raise BadInput(f"output {str(folder)!r} is a file; expected a folder")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.resolve() / LOCK, timeout=0, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(
            f"another run is at work in {str(folder)!r}: wait for it, stop it, or give another output folder"
        ) from None
    try:
        if lock.lock_counter == 1:
            _sweep(folder)
        yield
    finally:
        empty = bool(made) and [path.name for path in folder.glob("*")] == [LOCK]
        if empty:
            with suppress(OSError):  # Windows cannot remove open files
                (folder / LOCK).unlink()
        lock.release()
        if empty:
            with suppress(OSError):  # not empty any more
                for place in made:
                    place.rmdir()


def _sweep(folder: Path) -> None:
    """Removes the temporary files of a killed run, and refuses links that lead out of the folder."""
    root = folder.resolve()
    for path, folders, files in os.walk(folder):  # does not follow links
        place = Path(path)
        for name in folders:
            if not (target := (place / name).resolve()).is_relative_to(root):
                raise BadInput(
                    f"{str(place / name)!r} is a link that leads out of the output folder, to {str(target)!r}: "
                    "remove it, or give another output folder"
                )
        for name in filter(_PARTIAL.fullmatch, files):
            (place / name).unlink(missing_ok=True)
        if len(place.relative_to(folder).parts) >= DEEPEST:
            folders.clear()
