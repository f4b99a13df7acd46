"""A figure for a paper: labelled pictures on a sheet with a scale, as vectors with their fonts."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inverter_errors import BadInput, MissingLibrary

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

FORMATS = (".pdf", ".svg", ".png")
WIDTH = 17.0
"""Centimetres of a figure across two columns of text."""
LEAST, MOST = 1.0, 200.0
DPI = 300
SCREEN_DPI = 110
POINTS = 7.0
"""Size of the text."""
GAP = 0.06
"""Space between pictures, relative to their width."""
CENTIMETRES = 2.54
"""In an inch."""


def draw(
    pictures: Sequence[Image.Image],
    captions: Sequence[str],
    rows: Sequence[str] = (),
    columns: int | None = None,
    width: float = WIDTH,
) -> Figure:
    """Pictures in a grid, each with its caption, and a scale in pixels under them.

    Args:
        pictures: of any sizes and modes; opacity is shown over white.
        captions: one for each picture; may have several lines.
        rows: the row that each picture belongs to, by name: each row starts on a new line and bears its name at the
            left. Empty for one row without a name.
        columns: pictures side by side; by default as many as make a sheet about as wide as it is high, at most 8.
        width: of the figure in centimetres, from 1 to 200.

    Returns:
        A matplotlib figure, for notebooks and `savefig`.

    Raises:
        BadInput: if there is no picture, or a number is out of its range.
        MissingLibrary: if matplotlib is not installed.
    """
    if not pictures:
        raise BadInput("figure: got no picture; expected at least one")
    if columns is not None and columns < 1:
        raise BadInput(f"figure: columns must be at least 1, got {columns}")
    if not LEAST <= width <= MOST:
        raise BadInput(f"figure: width must be from {LEAST:g} to {MOST:g} centimetres, got {width!r}")
    figure_class = _library()
    names = list(rows) or [""] * len(pictures)
    groups = {name: [i for i, own in enumerate(names) if own == name] for name in dict.fromkeys(names)}
    widest = max(map(len, groups.values()))
    across = min(columns or min(8, math.ceil(math.sqrt(1.6 * widest))), widest)
    lines = [
        (name if not start else "", members[start : start + across])
        for name, members in groups.items()
        for start in range(0, len(members), across)
    ]
    inches, line = width / CENTIMETRES, 1.35 * POINTS / 72
    side = line * 1.2 if any(groups) else 0.0  # of the rows' names
    cell = (inches - side) / (across + (across - 1) * GAP)
    texts = [max(captions[i].count("\n") + 1 if captions[i] else 0 for i in members) for _, members in lines]
    heights = [max(cell * pictures[i].height / pictures[i].width for i in members) for _, members in lines]
    total = sum(heights) + line * (sum(texts) + 0.4 * len(lines)) + 1.6 * line
    figure = figure_class(figsize=(inches, total))
    top = total
    for (name, members), high, count in zip(lines, heights, texts, strict=True):
        if name:
            figure.text(0, (top - high / 2) / total, name, rotation=90, ha="left", va="center", fontsize=POINTS)
        for place, i in enumerate(members):
            left, own = side + place * cell * (1 + GAP), cell * pictures[i].height / pictures[i].width
            axes = figure.add_axes((left / inches, (top - own) / total, cell / inches, own / total))
            axes.imshow(_opaque(pictures[i]), interpolation="none")
            axes.set_axis_off()
            where = ((left + cell / 2) / inches, (top - high - 0.2 * line) / total)
            figure.text(*where, captions[i], ha="center", va="top", fontsize=POINTS, linespacing=1.25)
        top -= high + (count + 0.4) * line
    _scale(figure, pictures[0].width, cell, side, inches, total, line)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as vectors with its fonts, or as pixels; equal ones are equal files.

    Args:
        figure: to write.
        path: a file that ends in .pdf, .svg or .png; complete or not there at all.

    Raises:
        BadInput: for another suffix.
        OSError: if it cannot be written.
    """
    from matplotlib import rc_context

    check_path(path)
    kind = path.suffix.lower()
    dates = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{kind}")
    try:
        with rc_context({"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "inverter"}):
            figure.savefig(partial, dpi=DPI, metadata=dates)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_path(path: Path) -> None:
    """Checks that a figure can be written in the format of a file's name.

    Args:
        path: of the file.

    Raises:
        BadInput: for a suffix other than those of `FORMATS`.
    """
    if path.suffix.lower() not in FORMATS:
        raise BadInput(f"figure {str(path)!r}: expected a file that ends in .pdf, .svg or .png")


def _library() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingLibrary("a figure needs matplotlib: pip install 'inverter-vis[figure]'") from None

    class Sheet(Figure):
        """A figure that a notebook shows, also where pyplot was not imported."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=SCREEN_DPI)
            return buffer.getvalue()

    return Sheet


def _opaque(picture: Image.Image) -> Image.Image:
    from PIL import Image

    if picture.has_transparency_data:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    return picture.convert("RGB")


def _scale(figure: Figure, pixels: int, cell: float, left: float, inches: float, total: float, line: float) -> None:
    """A bar of a round number of the first picture's pixels, at the lower left."""
    round_number = next(step for step in (200, 100, 50, 20, 10, 5, 2, 1) if step <= max(1, pixels // 2))
    long = cell * round_number / pixels
    axes = figure.add_axes((left / inches, 0, long / inches, line / total))
    axes.plot([0, 1], [0.5, 0.5], color="black", linewidth=1.5, solid_capstyle="butt")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_axis_off()
    at = ((left + long) / inches + 0.01, 0.5 * line / total)
    figure.text(*at, f"{round_number} pixels", ha="left", va="center", fontsize=POINTS)
