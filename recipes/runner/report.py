"""What a run leaves behind: its folder, pictures, manifest and page, and how it shows itself in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from inverter import notebook
from inverter.notebook import SIDE
from inverter_errors import MissingLibrary, plural
from recipes.outputs.manifest import Manifest, Record
from recipes.outputs.rendering.sheet import kind, label, picture
from recipes.outputs.units_table import row
from recipes.outputs.vocabulary import INPUTS, OK, SILENT

if TYPE_CHECKING:
    import pandas
    from PIL import Image

SHOWN = 24
"""Pictures in a notebook, at most; the page has all of them."""
FEW = 8
"""Up to this number of pictures they may be twice as large."""


@dataclass(frozen=True)
class Report:
    """What a run left behind.

    Attributes:
        out: the output folder.
        manifest: everything known of the run; its `units` are the records of the pictures, by file.
        made: how many pictures this run made, without input images; the others were finished already.
        seconds: that it took.
        page: `index.html`, where there is one.
        files: files of the run that are no pictures of units, by what they are (a video, a map of them, statistics).
        skipped: input pictures that could not be read -> why.
        closing: one line that sums up the pictures, where the recipe has one.
    """

    out: Path
    manifest: Manifest
    made: int
    seconds: float
    page: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    closing: str | None = None

    @property
    def records(self) -> list[Record]:
        """The records of all finished pictures, in the order in which they are shown."""
        return list(self.manifest.units.values())

    @property
    def requested(self) -> list[Record]:
        """Records of the pictures that the run is about, without its input images."""
        return [record for record in self.records if record.objective not in INPUTS]

    @property
    def failed(self) -> list[Record]:
        """Records of pictures whose optimisation stopped early; a silent unit is no failure."""
        return [record for record in self.records if record.status not in (OK, SILENT)]

    @property
    def silent(self) -> list[Record]:
        """Records of units that no picture made active."""
        return [record for record in self.records if record.status == SILENT]

    @property
    def images(self) -> list[Image.Image]:
        """The finished pictures, read from disk, in the order of `records`."""
        return [picture(self.out, record) for record in self.records]

    def to_dataframe(self) -> pandas.DataFrame:
        """The records as a table: a row for each picture, its metrics as columns of their own.

        Raises:
            MissingLibrary: without pandas.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise MissingLibrary("to_dataframe needs pandas: pip install pandas") from error
        return pandas.DataFrame([row(record) for record in self.records])

    def __repr__(self) -> str:
        count = len(self.requested)
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return (
            f"Report({self.manifest.recipe}: {plural(count, 'picture')} in {str(self.out)!r}, {self.made} new{failed})"
        )

    def _repr_html_(self) -> str:
        records, count = self.records[:SHOWN], len(self.requested)
        drawn = {what: shown for what, path in self.files.items() if (shown := notebook.file(path))}
        maps = [what for what in drawn if self.files[what].suffix == ".png"]  # they show the pictures in their places
        side = SIDE if len(records) > FEW else 2 * SIDE
        tiles = [] if maps else [_tile(self.out, record, side) for record in records]
        lines = [f"{plural(count, 'picture')} in <code>{html.escape(str(self.out))}</code>"] if count else []
        lines += [f"{what}: <code>{html.escape(str(path))}</code>" for what, path in self.files.items()]
        if not maps and (more := len(self.manifest.units) - len(records)) > 0:
            lines.append(f"{more} more on the page")
        if self.failed:
            named = ", ".join(f"{record.file} ({record.status})" for record in self.failed[:5])
            lines.append(f"{len(self.failed)} failed: {html.escape(named)}{' …' if len(self.failed) > 5 else ''}")
        if self.skipped:
            lines.append(f"{plural(len(self.skipped), 'input picture')} could not be read")
        if self.closing:
            lines.append(html.escape(self.closing))
        if self.page is not None:
            link = html.escape(_link(self.page))
            lines.append(f'page: <a href="{link}" target="_blank">{html.escape(str(self.page))}</a>')
        parts = [f"<p>{'<br>'.join(lines)}</p>", *drawn.values(), notebook.grid(tiles)]
        return f"<div>{''.join(parts)}{notebook.table(self.manifest.table)}</div>"


def _link(page: Path) -> str:
    """The address of a page: below the notebook's folder a relative one, which a browser may open from a notebook."""
    full, here = page.resolve(), Path.cwd().resolve()
    return quote(full.relative_to(here).as_posix()) if full.is_relative_to(here) else full.as_uri()


def _tile(folder: Path, record: Record, side: int) -> str:
    """One picture, and its film, with its label, what tells it from others with that label, and its score."""
    film = notebook.file(folder / record.extra_files["video"]) if "video" in record.extra_files else ""
    score = "" if record.score is None else f"{record.score:.4g}"
    return notebook.tile(picture(folder, record), (label(record), kind(record), score), side, film)
