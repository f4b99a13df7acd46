"""The only writer of an output folder: first a picture, then its line in the journal, then manifest and page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, MissingFile
from recipes.outputs.atomic import write_npy, write_png, write_text
from recipes.outputs.journal import forget, note, noted
from recipes.outputs.manifest import Manifest, Record
from recipes.outputs.provenance import provenance
from recipes.outputs.sheet import Tile, picture
from recipes.outputs.showing import Showing
from recipes.outputs.summaries import SHEET, TABLE, write_summaries

if TYPE_CHECKING:
    from torch import Tensor

AS_THEY_ARE = Showing()

Page = Callable[[Mapping[str, Any]], str]
"""Renders `index.html` from the manifest alone."""

Table = Callable[[Sequence[Record]], list[dict[str, Any]]]
"""Summarises the finished units."""


def _no_table(_records: Sequence[Record]) -> list[dict[str, Any]]:
    return []


@dataclass
class Store:
    """The output folder of one run. `open` one; it knows the units that are finished already.

    Attributes:
        folder: the output folder.
        manifest: of the run, with the finished units.
        page: renders `index.html`.
        order: file of a unit -> its place in the manifest.
        table: summarises the finished units for the manifest.
    """

    folder: Path
    manifest: Manifest
    page: Page
    order: dict[str, int]
    table: Table = _no_table
    _added: bool = field(default=False, init=False, repr=False)

    @classmethod
    def open(
        cls,
        folder: Path,
        manifest: Manifest,
        page: Page,
        sources: Mapping[str, str | None],
        fresh: bool = False,
        table: Table = _no_table,
    ) -> Store:
        """Starts a run in `folder`, or resumes it.

        Args:
            folder: the output folder; created if it is missing.
            manifest: of the run, without units.
            page: renders `index.html`.
            sources: file of each unit that the run will have -> what it is made from, where its name does not say it;
                in the order in which the manifest lists them.
            fresh: first removes the files of an earlier run (only those that its manifest lists).
            table: summarises the finished units for the manifest.

        Raises:
            BadInput: if the folder holds a run with other settings; it names the difference.
            OSError: if the folder cannot be created or written to.
        """
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"output {str(folder)!r} is a file; expected a folder")
        folder.mkdir(parents=True, exist_ok=True)
        if fresh:
            _clear(folder)
        elif earlier := same_run(folder, manifest, sources):
            manifest.created = earlier.created
            manifest.units = {file: unit for file, unit in earlier.units.items() if _complete(folder, unit)}
        store = cls(folder, manifest, page, {file: place for place, file in enumerate(sources)}, table)
        store.write_manifest()  # an unwritable folder raises before the work, not after
        return store

    def has(self, file: str) -> bool:
        """True if this picture is finished."""
        return file in self.manifest.units

    def add(
        self, finished: Iterable[tuple[Record, Tensor]], alpha: bool = False, showing: Showing = AS_THEY_ARE
    ) -> None:
        """Writes a batch of finished pictures, and then one line for all of them in the journal.

        A picture that its file does not show as it is, is kept as an array too, as the extra file `channels`.

        Args:
            finished: records with their pictures, (C, H, W) in [0, 1].
            alpha: True if the last channel is opacity.
            showing: which channels the files show.

        Raises:
            OSError: if they cannot be written, or the folder was removed; finished units are kept.
        """
        self._check()
        records = {}
        for record, image in finished:
            if (values := showing.array(image, alpha)) is not None:
                array = f"{record.file.removesuffix('.png')}.npy"
                write_npy(self.folder / array, values)
                record = replace(record, extra_files={**record.extra_files, "channels": array})
            about = provenance(self.manifest.recipe, self.manifest.settings, record, self.manifest.growing)
            write_png(self.folder / record.file, showing.picture(image, alpha), about, alpha)
            records[record.file] = record
        self._added = True
        self.manifest.units |= records
        note(self.folder, records.values())

    def amend(self, metrics: Mapping[str, Mapping[str, Any]]) -> None:
        """Adds metrics to finished units; the next manifest has them.

        Args:
            metrics: file of a unit -> its metrics, which replace those of the same names.
        """
        for file, more in metrics.items():
            record = self.manifest.units[file]
            self.manifest.units[file] = replace(record, metrics=record.metrics | dict(more))
        self._added |= bool(metrics)

    def write_manifest(self) -> None:
        """Writes the manifest, which includes the journal's units, and removes the journal."""
        last = len(self.order)
        units = sorted(self.manifest.units.items(), key=lambda item: self.order.get(item[0], last))
        self.manifest.units = dict(units)
        self.manifest.table = self.table(list(self.manifest.units.values()))
        write_text(self.folder / "manifest.json", json.dumps(self.manifest.to_json(), indent=1))
        forget(self.folder)

    def write_page(self) -> Path:
        """Writes the manifest and the page of the units finished so far, and returns the page's path."""
        self._check()
        self.write_manifest()
        path = self.folder / "index.html"
        write_text(path, self.page(self.manifest.to_json()))
        return path

    def finish(self, tile: Tile = picture) -> Path:
        """Writes all that sums up the units finished so far, and returns the page's path.

        These are the manifest, the page, `units.csv` (a row for each unit) and `sheet.png` (all pictures with labels).

        Args:
            tile: the picture of a record on the sheet.
        """
        page = self.write_page()
        write_summaries(self.folder, self.manifest, tile, self._added)
        return page

    def _check(self) -> None:
        """Raises if the folder was removed meanwhile: it must not be created again with half of the run in it."""
        if not (self.folder / "manifest.json").is_file():
            raise MissingFile(
                f"output folder {str(self.folder)!r} has vanished, or its manifest.json: the run cannot continue; "
                "run it again to restore the missing files"
            )


def same_run(folder: Path, manifest: Manifest, sources: Mapping[str, str | None] | None = None) -> Manifest | None:
    """The manifest that an earlier part of the same run left in a folder, if there is one.

    Args:
        folder: the output folder.
        manifest: of the run.
        sources: of all units that the run will have, by file, once they are known: none of an earlier run may be
            missing, or made from something else.

    Raises:
        BadInput: if the folder holds a run with other settings; it names the difference.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return None
    earlier = Manifest.load(path)
    earlier.units |= noted(folder)
    difference = manifest.difference(earlier)
    if difference is None and sources is not None:
        difference = manifest.lost(earlier, sources)
    if difference:
        raise BadInput(
            f"{folder} holds a run with other settings: its {difference}; "
            "give another output folder, or set fresh to start over"
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
        if file.resolve().is_relative_to(root):  # never remove a file outside, whatever the manifest lists
            file.unlink(missing_ok=True)
            _prune(file.parent, folder)
    for name in (TABLE, SHEET):
        (folder / name).unlink(missing_ok=True)
    forget(folder)
    path.unlink()


def _prune(place: Path, folder: Path) -> None:
    """Removes empty folders, from `place` up to the output folder."""
    with suppress(OSError):  # not empty, or a link
        while place != folder:
            place.rmdir()
            place = place.parent


def _complete(folder: Path, unit: Record) -> bool:
    return all((folder / file).is_file() for file in unit.files)
