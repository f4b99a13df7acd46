"""What is finished since the manifest was written, a line for each batch: not all of a long run anew each time.

A line is there as a whole or not at all: what a kill or a full disk has left of one is passed over. The next time that
the manifest is written, it holds what the journal holds, and only then the journal goes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from recipes.outputs.manifest import Record

JOURNAL = "manifest.journal"


def note(folder: Path, records: Iterable[Record]) -> None:
    """Adds a batch, and returns once it is on disk.

    Raises:
        OSError: if it cannot be written; it names the file.
    """
    path = folder / JOURNAL
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([record.to_json() for record in records]) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def noted(folder: Path) -> dict[str, Record]:
    """The records of all whole lines, by file."""
    path, found = folder / JOURNAL, dict[str, Record]()
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
        try:
            if line.endswith(b"\n"):
                found |= {record.file: record for record in map(Record.load, json.loads(line))}
        except (ValueError, TypeError, RecursionError):
            continue
    return found


def forget(folder: Path) -> None:
    """Removes the journal, once the manifest holds it."""
    (folder / JOURNAL).unlink(missing_ok=True)
