"""The units finished since the manifest was last written, one line per batch: appending is cheap in a long run.

Only complete lines count: a partial line, left by a kill or a full disk, is skipped. The next manifest that is written
includes the journal's units, and only then the journal is removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from recipes.outputs.manifest import Record

JOURNAL = "manifest.journal"


def note(folder: Path, records: Iterable[Record]) -> None:
    """Appends a batch, and returns once it is on disk.

    Args:
        folder: the output folder.
        records: of the batch.

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
    """The records of all complete lines, by file."""
    path, found = folder / JOURNAL, dict[str, Record]()
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
        try:
            if line.endswith(b"\n"):
                found |= {record.file: record for record in map(Record.load, json.loads(line))}
        except (ValueError, TypeError, RecursionError):
            continue
    return found


def forget(folder: Path) -> None:
    """Removes the journal, once the manifest includes it."""
    (folder / JOURNAL).unlink(missing_ok=True)
