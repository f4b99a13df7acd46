"""The only writer of an output folder: a picture first, then a line that says so, then the manifest and the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, MissingFile
from recipes.outputs.atomic import write_png, write_text
from recipes.outputs.journal import forget, note, noted
from recipes.outputs.manifest import Manifest, Record

if TYPE_CHECKING:
    from torch import Tensor

Page = Callable[[Mapping[str, Any]], str]
"""Makes `index.html` from the manifest alone."""

Table = Callable[[Sequence[Record]], list[dict[str, Any]]]
"""Sums up what is finished."""


def _no_table(_records: Sequence[Record]) -> list[dict[str, Any]]:
    return []


@dataclass
class Store:
    """An output folder of one run. `open` it; it remembers what is finished already."""

    folder: Path
    manifest: Manifest
    page: Page
    order: dict[str, int]
    table: Table = _no_table

    @classmethod
    def open(
        cls,
        folder: Path,
        manifest: Manifest,
        page: Page,
        files: Iterable[str],
        fresh: bool = False,
        table: Table = _no_table,
    ) -> Store:
        """Begins a run in `folder`, or continues the same run there.

        Args:
            manifest: the run as it is asked for now, without units.
            files: of all units that the run will have, in order: the manifest lists them so, whatever came first.
            fresh: True removes what an earlier run made first (only files that its manifest names).
            table: sums up the finished units for the manifest.

        Raises:
            BadInput: if the folder holds another run: it names the difference.
            OSError: if the folder cannot be made or written to.
        """
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"output {str(folder)!r} is a file; expected a folder")
        folder.mkdir(parents=True, exist_ok=True)
        if fresh:
            _clear(folder)
        elif earlier := same_run(folder, manifest):
            manifest.created = earlier.created
            manifest.units = {file: unit for file, unit in earlier.units.items() if _whole(folder, unit)}
        store = cls(folder, manifest, page, {file: place for place, file in enumerate(files)}, table)
        store.write_manifest()  # an unwritable folder is told before the work, not after
        return store

    def has(self, file: str) -> bool:
        """True if this picture is finished."""
        return file in self.manifest.units

    def add(self, finished: Iterable[tuple[Record, Tensor]]) -> None:
        """Writes a batch of finished pictures, and only then says so in the journal, of all of them at once.

        Raises:
            OSError: if they cannot be written, or the folder has vanished; what is finished stays.
        """
        self._check()
        records = {}
        for record, image in finished:
            write_png(self.folder / record.file, image)
            records[record.file] = record
        self.manifest.units |= records
        note(self.folder, records.values())

    def write_manifest(self) -> None:
        """Writes all that is known of the run; what the journal holds is in it."""
        last = len(self.order)
        units = sorted(self.manifest.units.items(), key=lambda item: self.order.get(item[0], last))
        self.manifest.units = dict(units)
        self.manifest.table = self.table(list(self.manifest.units.values()))
        write_text(self.folder / "manifest.json", json.dumps(self.manifest.to_json(), indent=1))
        forget(self.folder)

    def write_page(self) -> Path:
        """Writes the manifest and the page of what is finished so far, and returns the page's path."""
        self._check()
        self.write_manifest()
        path = self.folder / "index.html"
        write_text(path, self.page(self.manifest.to_json()))
        return path

    def _check(self) -> None:
        """A folder that somebody has removed must not come back with half of the run in it."""
        if not (self.folder / "manifest.json").is_file():
            raise MissingFile(
                f"output folder {str(self.folder)!r} has vanished, or its manifest.json: the run cannot go on; "
                "the same command makes again what is gone"
            )


def same_run(folder: Path, manifest: Manifest) -> Manifest | None:
    """The manifest that an earlier part of the same run left in a folder, if there is one.

    Raises:
        BadInput: if the folder holds another run: it names the difference.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return None
    earlier = Manifest.load(path)
    earlier.units |= noted(folder)
    if difference := manifest.difference(earlier):
        raise BadInput(
            f"{folder} holds a run with other settings: its {difference}; "
            "give another output folder, or --fresh to start over"
        )
    return earlier


def _clear(folder: Path) -> None:
    path = folder / "manifest.json"
    if not path.exists():
        return
    try:
        units = Manifest.load(path).units | noted(folder)
    except ValueError:
        units = {}
    root = folder.resolve()
    for file in (folder / name for unit in units.values() for name in unit.files):
        if file.resolve().is_relative_to(root):  # a manifest from elsewhere must not name files outside
            file.unlink(missing_ok=True)
            _prune(file.parent, folder)
    forget(folder)
    path.unlink()


def _prune(place: Path, folder: Path) -> None:
    """Removes folders that have become empty, from `place` up to the output folder."""
    with suppress(OSError):  # not empty, or a link
        while place != folder:
            place.rmdir()
            place = place.parent


def _whole(folder: Path, unit: Record) -> bool:
    return all((folder / file).is_file() for file in unit.files)
