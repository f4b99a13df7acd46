"""What sums up an output folder for people: `units.csv`, a row for each picture, and `sheet.png`, all with labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recipes.outputs.atomic import write_bytes, write_text
from recipes.outputs.manifest import Manifest, Record
from recipes.outputs.provenance import provenance
from recipes.outputs.rendering.sheet import Tile, contact_sheet, encoded, picture
from recipes.outputs.units_table import as_csv

TABLE, SHEET = "units.csv", "sheet.png"


def write_summaries(folder: Path, manifest: Manifest, tile: Tile = picture, changed: bool = True) -> None:
    """Writes the table and the sheet of the finished units.

    Args:
        folder: the output folder.
        manifest: of the run.
        tile: the picture of a record on the sheet.
        changed: False if no picture is newer than the sheet, which is then left as it is.

    Raises:
        OSError: if they cannot be written.
    """
    records = list(manifest.units.values())
    write_text(folder / TABLE, as_csv(records))
    if records and (changed or not (folder / SHEET).is_file()):
        write_sheet(folder / SHEET, folder, manifest, records, tile)


def write_sheet(path: Path, folder: Path, manifest: Manifest, records: Sequence[Record], tile: Tile = picture) -> None:
    """Writes a contact sheet of some units.

    Args:
        path: of the PNG file.
        folder: the output folder.
        manifest: of the run.
        records: of the units.
        tile: the picture of a record on the sheet.

    Raises:
        OSError: if it cannot be written.
    """
    title = f"{manifest.recipe} · {manifest.model.get('spec', 'network')}"
    sheet = contact_sheet(folder, records, title, tile)
    write_bytes(path, encoded(sheet, provenance(manifest.recipe, manifest.settings)))
