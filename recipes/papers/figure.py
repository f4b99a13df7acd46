"""A labelled figure of units of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inverter.figure import WIDTH, check_path, draw, save
from inverter_errors import NotFound
from recipes.outputs.manifest import Record
from recipes.outputs.rendering.sheet import label, picture


def write_figure(
    path: Path, folder: Path, records: Sequence[Record], columns: int | None = None, width: float = WIDTH
) -> int:
    """Writes a figure of units: each layer on lines of its own, each picture with its label and score.

    Args:
        path: a file that ends in .pdf, .svg or .png.
        folder: the output folder of the run.
        records: the units; those whose file cannot be read are left out.
        columns: pictures side by side (`inverter.figure.draw`).
        width: of the figure in centimetres, from 1 to 200.

    Returns:
        The number of pictures on it.

    Raises:
        BadInput: for another suffix, or a number out of its range.
        NotFound: if no picture of the units is left.
        MissingLibrary: if matplotlib is not installed.
        OSError: if it cannot be written.
    """
    check_path(path)
    shown = [(record, folder / record.file) for record in records if (folder / record.file).is_file()]
    if not shown:
        raise NotFound(f"no picture of these units is left in {folder}")
    layers = list(dict.fromkeys(record.layer for record, _ in shown))
    rows = [record.layer for record, _ in shown] if len(layers) > 1 else []
    captions = [_caption(record, bare=len(layers) > 1) for record, _ in shown]
    pictures = [picture(folder, record) for record, _ in shown]
    save(draw(pictures, captions, rows, columns, width), path)
    return len(shown)


def _caption(record: Record, bare: bool) -> str:
    """The label and the score; without the layer where the line bears its name."""
    name = str(record.channel) if bare and record.channel is not None and not record.name else label(record)
    name += " −" if record.direction == "min" else ""
    return name if record.score is None else f"{name}\n{record.score:.4g}"
