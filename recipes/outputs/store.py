"""The only writer of an output folder: first a picture, then its line in the journal, then manifest and page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, MissingFile
from recipes.outputs.atomic import write_bytes, write_npy, write_text
from recipes.outputs.earlier_run import clear, complete, same_run
from recipes.outputs.journal import forget, note
from recipes.outputs.manifest import Manifest, Record
from recipes.outputs.provenance import provenance
from recipes.outputs.rendering.sheet import Tile, picture
from recipes.outputs.rendering.showing import Showing
from recipes.outputs.summaries import write_summaries
from recipes.outputs.writer import Job, Writer

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

AS_THEY_ARE = Showing()
TOGETHER = 64
"""Files that wait as one job of the writer, which bounds the memory that they take."""
PAGE_EVERY = 10.0
"""Seconds between two versions of the manifest and the page while a run goes on, at least."""
SHARE = 0.02
"""Of the run's time may go into writing them, at most: of a run of many units each takes seconds."""

Page = Callable[[Mapping[str, Any]], str]
"""Renders `index.html` from the manifest alone."""

Table = Callable[[Sequence[Record]], list[dict[str, Any]]]
"""Summarises the finished units."""


def _no_table(_records: Sequence[Record]) -> list[dict[str, Any]]:
    return []


@dataclass
class Store:
    """The output folder of one run. `open` one; it knows the units that are finished already.

    Pictures are encoded and written in the background, batch after batch, and so are the versions of the page that
    appear while a run goes on. `finish` and `write_page` wait until all of them are on disk.

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
    _writer: Writer = field(default_factory=Writer, init=False, repr=False, compare=False)
    _due: float = field(default=0.0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._due = time.perf_counter() + PAGE_EVERY

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
            clear(folder)
        elif earlier := same_run(folder, manifest, sources):
            manifest.created = earlier.created
            manifest.units = {file: unit for file, unit in earlier.units.items() if complete(folder, unit)}
        store = cls(folder, manifest, page, {file: place for place, file in enumerate(sources)}, table)
        store.write_manifest()  # an unwritable folder raises before the work, not after
        return store

    def has(self, file: str, extra: Collection[str] = ()) -> bool:
        """True if this picture is finished.

        Args:
            file: of the picture.
            extra: kinds of the extra files that it must have.
        """
        record = self.manifest.units.get(file)
        return record is not None and set(extra) <= set(record.extra_files)

    def add(
        self, finished: Iterable[tuple[Record, Tensor]], alpha: bool = False, showing: Showing = AS_THEY_ARE
    ) -> None:
        """Has a batch of finished pictures written, and then one line for all of them in the journal.

        A picture that its file does not show as it is, is kept as an array too, as the extra file `channels`. The call
        returns before they are on disk, unless many are waiting already.

        Args:
            finished: records with their pictures, (C, H, W) in [0, 1].
            alpha: True if the last channel is opacity.
            showing: which channels the files show.

        Raises:
            OSError: if an earlier batch could not be written, or the folder was removed; finished units are kept.
        """
        from inverter.result import to_pil

        self.check()
        records, parts = dict[str, Record](), list[Job]()
        for record, image in finished:
            if (values := showing.array(image, alpha)) is not None:
                array = f"{record.file.removesuffix('.png')}.npy"
                parts.append(partial(write_npy, self.folder / array, values))
                record = replace(record, extra_files={**record.extra_files, "channels": array})
            about = provenance(self.manifest.recipe, self.manifest.settings, record, self.manifest.growing)
            # In bytes, a quarter of the memory; and torch's threads stay with the thread that employs them.
            picture = to_pil(showing.picture(image, alpha), alpha)
            parts.append(partial(self._write_picture, self.folder / record.file, picture, about))
            records[record.file] = record
            if len(parts) >= TOGETHER:
                self._writer.submit(partial(self._writer.each, parts))
                parts = []
        self._writer.submit(partial(self._record, parts, records))

    def _write_picture(self, path: Path, picture: Image.Image, about: Mapping[str, str]) -> None:
        from inverter.png import png

        data = png(picture, about)
        self._check()
        write_bytes(path, data)

    def _record(self, parts: Sequence[Job], records: Mapping[str, Record]) -> None:
        """Does what is left of a batch, and then records it."""
        self._writer.each(parts)
        self._check()
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

    def check(self) -> None:
        """Raises the error of what could not be written in the background, if there is one.

        Raises:
            OSError: as `add`.
        """
        self._writer.check()

    def settle(self) -> None:
        """Returns once everything that was added is on disk.

        Raises:
            OSError: as `add`.
        """
        self._writer.drain()
        self.check()

    def write_manifest(self) -> None:
        """Writes the manifest, which includes the journal's units, and removes the journal."""
        last = len(self.order)
        units = sorted(self.manifest.units.items(), key=lambda item: self.order.get(item[0], last))
        self.manifest.units = dict(units)
        self.manifest.table = self.table(list(self.manifest.units.values()))
        write_text(self.folder / "manifest.json", json.dumps(self.manifest.to_json(), indent=1))
        forget(self.folder)

    def refresh(self) -> None:
        """Has the manifest and the page written in the background, if the last ones are old enough.

        Raises:
            OSError: as `add`.
        """
        if time.perf_counter() > self._due:
            self._due = float("inf")
            self._writer.submit(self._refresh)

    def _refresh(self) -> None:
        started = time.perf_counter()
        self._write_page()
        written = time.perf_counter()
        self._due = written + max(PAGE_EVERY, (written - started) / SHARE)

    def write_page(self) -> Path:
        """Writes the manifest and the page of the units finished so far, and returns the page's path.

        Raises:
            OSError: as `add`; the page shows what is finished nevertheless.
        """
        self._writer.drain()
        path = self._write_page()
        self.check()
        return path

    def _write_page(self) -> Path:
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

        Raises:
            OSError: as `add`; they show what is finished nevertheless.
        """
        self._writer.drain()
        page = self._write_page()
        write_summaries(self.folder, self.manifest, tile, self._added)
        self.check()
        return page

    def _check(self) -> None:
        """Raises if the folder was removed meanwhile: it must not be created again with half of the run in it."""
        if not (self.folder / "manifest.json").is_file():
            raise MissingFile(
                f"output folder {str(self.folder)!r} has vanished, or its manifest.json: the run cannot continue; "
                "run it again to restore the missing files"
            )
