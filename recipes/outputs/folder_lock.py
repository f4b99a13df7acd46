"""An output folder while a run has it for itself: locked, swept of what a killed run left, with no way out of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inverter_errors import BadInput

LOCK = ".lock"
"""The file that a run locks. It stays: whoever removed it could take a lock that another run still holds."""

DEEPEST = 3
"""Levels of folders below an output folder that recipes write to, at most."""

_PARTIAL = re.compile(r"\..+\.\d+\.partial(\.\w+)?")  # the temporary files of `media` and `video`


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Has an output folder for itself until the context ends; the folder is made if it is missing.

    The operating system holds the lock, so it goes with the process, however that ends. A run may hold its folder
    several times over. A folder that was made for a run which then wrote nothing goes again.

    Raises:
        BadInput: if `folder` is a file, or a link in it leads out of it.
        BlockingIOError: if another run has it.
        OSError: if it cannot be made or written to.

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
            with suppress(OSError):  # Windows keeps files that are open
                (folder / LOCK).unlink()
        lock.release()
        if empty:
            with suppress(OSError):  # somebody else has put something there
                for place in made:
                    place.rmdir()


def _sweep(folder: Path) -> None:
    """Removes the temporary files of a run that was killed, and finds links that lead out of the folder."""
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
