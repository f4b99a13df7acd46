"""Standard output and error as a command needs them: always there, and able to print any name."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast


class _Unbroken:
    """A stream whose reader may go away (a terminal that was closed, a pipe): what it no longer takes is dropped.

    Args:
        stream: the stream; all but writing is left to it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):  # a ValueError: the stream was closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def usable_streams() -> Iterator[None]:
    """A context in which `sys.stdout` and `sys.stderr` can be written to.

    Where the process was started without them, what is printed goes nowhere. A character that the encoding lacks is
    printed as its escape. An output that breaks ends the command (`| head`); messages that nobody reads do not.
    """
    before, changed = (sys.stdout, sys.stderr), list[tuple[io.TextIOWrapper, str]]()
    if None in before:
        _fill_descriptors()
    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - closed at the end
    sys.stdout, sys.stderr = (stream or nowhere for stream in before)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            changed.append((stream, stream.errors))
            stream.reconfigure(errors="backslashreplace")
    sys.stderr = cast(TextIO, _Unbroken(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        nowhere.close()
        for stream, errors in changed:
            with suppress(OSError, ValueError):
                stream.reconfigure(errors=errors)


def _fill_descriptors() -> None:
    """Keeps the numbers of closed standard streams occupied, or the next file that is opened would receive them."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
