"""What a reader takes along of a run: its picture, a figure with labels, the film of the optimisation."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.explore.server.access import Refused
from recipes.explore.views import find
from recipes.outputs.rendering.films import FPS, HELD
from recipes.outputs.vocabulary import INPUTS

if TYPE_CHECKING:
    from recipes.explore.session import Session
    from recipes.explore.view_run import View
    from recipes.outputs.manifest import Record

TYPES = {"png": "image/png", "figure.png": "image/png", "figure.svg": "image/svg+xml", "gif": "image/gif"}
"""Forms of a download, and their media types."""


def download(session: Session, run: str, form: str) -> tuple[bytes, str, str]:
    """A finished run as a file.

    Args:
        session: of the server.
        run: its id.
        form: `png` (the picture; of several, the first), `figure.png` or `figure.svg` (all of them with labels), or
            `gif` (the film of the first).

    Returns:
        Content, media type and file name.

    Raises:
        Refused: for another form, or a run without pictures, or whose film is not in memory.
        MissingLibrary: for a figure without matplotlib.
    """
    if form not in TYPES:
        raise Refused(400, f"as: got {form[:40]!r}; expected one of {', '.join(TYPES)}")
    view = find(session, run)
    manifest = view.manifest()
    records = [] if manifest is None else [r for r in manifest.units.values() if r.objective not in INPUTS]
    if not records:
        raise Refused(409, "this run has no picture yet: wait until it has finished")
    if form == "png":
        content = (view.folder / records[0].file).read_bytes()
    elif form == "gif":
        content = _film(view, records)
    else:
        content = _figure(view, records, form)
    return content, TYPES[form], f"{run}.{form}"


def _figure(view: View, records: list[Record], form: str) -> bytes:
    from recipes.papers.figure import write_figure

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / form
        write_figure(path, view.folder, records)
        return path.read_bytes()


def _film(view: View, records: list[Record]) -> bytes:
    """The frames that are in memory, and the finished picture."""
    from recipes.outputs.rendering.video import write_video
    from recipes.pictures.reading import fit, read_picture

    for record in records:
        if frames := view.frames.of(record.file):
            break
    else:
        raise Refused(409, "the film of this picture is not in memory any more: choose another start to make one")
    size = (frames[-1].shape[1], frames[-1].shape[2])
    last = fit(read_picture(view.folder / record.file), size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.gif"
        write_video(path, [*(fit(frame, size) for frame in frames), *[last] * HELD], FPS)
        return path.read_bytes()
