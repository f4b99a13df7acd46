"""What a reader takes along of a view: its picture, a figure with labels, the film of the optimisation."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.explore.film import Frames
from recipes.explore.server.access import Refused
from recipes.explore.view_run import View, ViewJob
from recipes.explore.views import find
from recipes.outputs.file_names import safe_name
from recipes.outputs.rendering.films import FPS, HELD
from recipes.outputs.vocabulary import INPUTS

if TYPE_CHECKING:
    from recipes.explore.session import Session
    from recipes.outputs.manifest import Record
    from recipes.runner.base import Recipe

TYPES = {"png": "image/png", "figure.png": "image/png", "figure.svg": "image/svg+xml", "gif": "image/gif"}
"""Forms of a download, and their media types."""
PATIENCE = 600.0
"""Seconds that a film may take which has to be made first."""


def download(session: Session, run: str, form: str, page: str) -> tuple[bytes, str, str]:
    """A finished run as a file.

    Args:
        session: of the server.
        run: its id.
        form: `png` (the picture; of several, the first), `figure.png` or `figure.svg` (all of them with labels), or
            `gif` (the film of the first).
        page: that waits for it.

    Returns:
        Content, media type and file name.

    Raises:
        Refused: for another form, or a run without pictures.
        MissingLibrary: for a figure without matplotlib.
    """
    view = find(session, run)
    manifest = view.manifest()
    records = [] if manifest is None else [r for r in manifest.units.values() if r.objective not in INPUTS]
    if not records:
        raise Refused(409, "this run has no picture yet: wait until it has finished")

    def film() -> tuple[Record, Frames]:
        for record in records:
            if view.frames.of(record.file):
                return record, view.frames
        return records[0], _made_again(session, page, view.recipe, records[0].file)

    return _written(view.folder, records, form, film), TYPES[form], f"{run}.{form}"


def download_unit(session: Session, layer: str, channel: int, form: str, page: str) -> tuple[bytes, str, str]:
    """The picture that the grid has of a unit, as a file.

    Args:
        session: of the server.
        layer: address.
        channel: of the unit.
        form: as in `download`.
        page: that waits for it.

    Returns:
        Content, media type and file name.

    Raises:
        Refused: for another form, or a unit without a picture.
        MissingLibrary: for a figure without matplotlib.
    """
    session.check_unit(layer, channel)
    record = session.grid.finished.get((layer, channel))
    if record is None:
        raise Refused(409, "this unit has no picture yet: wait until it is made")

    def film() -> tuple[Record, Frames]:
        return record, _made_again(session, page, session.recipe_of(layer, channel), record.file)

    return _written(session.out, [record], form, film), TYPES[form], f"{safe_name(layer)}-{channel}.{form}"


def _written(folder: Path, records: Sequence[Record], form: str, film: Callable[[], tuple[Record, Frames]]) -> bytes:
    if form not in TYPES:
        raise Refused(400, f"as: got {form[:40]!r}; expected one of {', '.join(TYPES)}")
    if form == "png":
        return (folder / records[0].file).read_bytes()
    if form == "gif":
        return _film(folder, *film())
    from recipes.papers.figure import write_figure

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / form
        write_figure(path, folder, records)
        return path.read_bytes()


def _film(folder: Path, record: Record, frames: Frames) -> bytes:
    """The frames, and the finished picture."""
    from recipes.outputs.rendering.video import write_video
    from recipes.pictures.reading import fit, read_picture

    shown = frames.of(record.file)
    if not shown:
        raise Refused(409, "this picture was not made step by step: it has no film")
    size = (shown[-1].shape[1], shown[-1].shape[2])
    last = fit(read_picture(folder / record.file), size)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "film.gif"
        write_video(path, [*(fit(frame, size) for frame in shown), *[last] * HELD], FPS)
        return path.read_bytes()


class _Filming(ViewJob):
    """A run that is made again for its frames."""

    def __init__(self, session: Session, view: View, page: str) -> None:
        super().__init__(session, view, page, slot="film")
        self.done = threading.Event()

    def run(self, stop: Callable[[], bool]) -> None:
        """Makes it, and says so."""
        try:
            super().run(stop)
        finally:
            self.done.set()


def _made_again(session: Session, page: str, recipe: Recipe, file: str) -> Frames:
    """The frames of a picture whose film is not in memory: the same optimisation, in a folder that is forgotten."""
    session.events.page(page)
    with tempfile.TemporaryDirectory() as folder:
        view = View("film", replace(recipe, out=str(Path(folder) / "film")))
        view.frames = Frames(file)
        job = _Filming(session, view, page)
        session.workers.foreground(job)
        if not job.done.wait(PATIENCE):
            session.workers.stop(lambda other: other is job)
            raise Refused(503, "the film takes too long: take it from the command line, with --video gif")
        if view.state != "finished":
            raise Refused(409, view.message or "the film was stopped")
        return view.frames
