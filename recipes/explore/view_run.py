"""One run of a view: made in the foreground, watched while it develops, stopped when nobody waits for it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from inverter_errors import InverterError
from recipes.explore.film import Frames
from recipes.explore.server.coarse_pictures import as_jpeg
from recipes.explore.server.responses import activations_of, is_collected, keep
from recipes.explore.server.workers import Stopped

if TYPE_CHECKING:
    from torch import Tensor

    from recipes.executors.progress import RunProgress
    from recipes.explore.session import Session
    from recipes.outputs.manifest import Manifest
    from recipes.runner.base import Recipe
    from recipes.runner.units import Unit

SIDE, QUALITY = 256, 75
"""Longer side in pixels, and JPEG quality, of a picture while it develops."""
PAUSE, QUIET = 0.1, 0.5
"""Seconds between two messages with pictures, at least, and after which one without pictures is sent."""
FILMS = 16
"""Runs whose frames are kept."""
COLLECTED = "activations"
"""Folder of a run with the activations over `images`; runs on the same layer share it."""


class View:
    """What is known of one run.

    Args:
        run: its id, the name of its folder.
        recipe: what is run.

    Attributes:
        state: waiting, running, finished, stopped or failed.
        share: of the work that is done.
        message: why it failed.
        frames: of its film, if it was made by this server.
    """

    def __init__(self, run: str, recipe: Recipe) -> None:
        self.run, self.recipe, self.folder = run, recipe, Path(recipe.out)
        self.state, self.share, self.message = "waiting", 0.0, ""
        self.frames = Frames()
        if self._complete():
            self.state, self.share = "finished", 1.0

    @property
    def finished(self) -> bool:
        return self.state == "finished" and (self.folder / "manifest.json").is_file()

    def manifest(self) -> Manifest | None:
        """Its manifest so far."""
        from recipes.outputs.manifest import Manifest

        try:
            return Manifest.load(self.folder / "manifest.json")
        except (OSError, InverterError):
            return None

    def _complete(self) -> bool:
        manifest = self.manifest()
        if manifest is None or not manifest.units or len(manifest.units) < manifest.planned:
            return False
        return all((self.folder / file).is_file() for file in manifest.units)


class ViewJob:
    """A run's turn in the foreground, for one page.

    Args:
        session: of the server.
        view: the run.
        page: that waits for it.
        slot: where it is shown.
    """

    def __init__(self, session: Session, view: View, page: str, slot: str) -> None:
        self.session, self.view, self.page, self.slot = session, view, page, slot
        self._sent, self._pictures = 0.0, list[dict[str, str]]()
        self._step = self._steps = 0

    def run(self, stop: Callable[[], bool]) -> None:
        """Makes what is not finished, and tells the page."""
        view = self.view
        if stop():
            view.state = "stopped" if view.state == "waiting" else view.state
            return
        try:
            if not view.finished:
                for old in list(self.session.runs.values())[:-FILMS]:
                    old.frames.clear()
                view.state, view.message = "running", ""
                self._send()
                self._make(stop)
                view.state, view.share = "finished", 1.0
        except Stopped:
            view.state = "stopped"
        except (InverterError, OSError) as error:
            view.state, view.message = "failed", " ".join(str(error).split())
        except (MemoryError, RuntimeError) as error:
            view.state, view.message = "failed", _memory_fault(error)
        except Exception:
            view.state, view.message = "failed", FAULT
            raise
        finally:
            if view.state != "finished":
                _remove_if_empty(view)
            self._pictures = []
            self._send()

    def _make(self, stop: Callable[[], bool]) -> None:
        from inverter.isolation.switches import recording
        from recipes.deepdream.deepdream import DeepDream
        from recipes.runner.network_fields import in_memory
        from recipes.runner.recipe import UnitRecipe
        from recipes.runner.run import run

        recipe, model = self.view.recipe, self.session.foreground

        def on_progress(update: RunProgress) -> None:
            if stop():
                raise Stopped
            part = update.done / update.units if update.units else 1.0
            self.view.share = part if update.share is None else update.share
            if time.monotonic() - self._sent > QUIET:
                self._send()

        def on_picture(image: Tensor) -> None:
            self._show(0, 0, lambda: {"dream.png": image})

        def on_images(units: Sequence[Unit], step: int, steps: int, look: Callable[[], Tensor]) -> None:
            self._show(step, steps, lambda: dict(zip((unit.file for unit in units), look(), strict=True)))

        with in_memory(model), recording(), _shared_activations(self.session, recipe):
            if isinstance(recipe, UnitRecipe):
                run(recipe, on_progress, model=model, on_images=on_images)
            elif isinstance(recipe, DeepDream):
                self.view.folder.mkdir(parents=True, exist_ok=True)
                recipe.make(on_progress, on_picture)
            else:
                recipe.run(on_progress)

    def _show(self, step: int, steps: int, look: Callable[[], dict[str, Tensor]]) -> None:
        """Keeps pictures for the film, and sends them if it is time."""
        from recipes.outputs.rendering.showing import Showing

        filmed, due = self.view.frames.due(), time.monotonic() - self._sent >= PAUSE
        if not filmed and not due:
            return
        showing = Showing.of(self.session.foreground)
        shown = {file: showing.picture(image.detach().cpu().clone()) for file, image in look().items()}
        if filmed:
            self.view.frames.add(shown)
        if due:
            self._step, self._steps = step, steps
            self._pictures = [{"key": file, "src": as_jpeg(image, SIDE, QUALITY)} for file, image in shown.items()]
            self._send()

    def _send(self) -> None:
        self._sent = time.monotonic()
        view = self.view
        about = {"run": view.run, "slot": self.slot, "state": view.state, "share": view.share, "message": view.message}
        shown = {"step": self._step, "steps": self._steps, "pictures": self._pictures}
        self.session.events.send(self.page, "run", about | shown)


FAULT = "this is a fault of inverter: the terminal says more"


def _memory_fault(error: BaseException) -> str:
    """One line for a run that ended for want of memory; anything else is a fault of the code, and raised again."""
    from inverter.isolation.device_faults import out_of_memory

    if isinstance(error, MemoryError) or out_of_memory(error):
        return "this needs more memory than there is: choose a smaller size or fewer attempts"
    raise error


def _remove_if_empty(view: View) -> None:
    manifest = view.manifest()
    if manifest is None or not manifest.units:
        shutil.rmtree(view.folder, ignore_errors=True)


@contextmanager
def _shared_activations(session: Session, recipe: Recipe) -> Iterator[None]:
    """A context in which a run finds the activations of its layer that an earlier run has collected."""
    layer, own = getattr(recipe, "layer", None), Path(recipe.out) / COLLECTED
    if not isinstance(layer, str) or not getattr(recipe, "images", None) or recipe.name not in ("patches", "circuit"):
        yield
        return
    kept = activations_of(session.options, layer, recipe.name)
    if is_collected(kept) and not own.exists():
        _link(kept, own)
    try:
        yield
    finally:
        if not is_collected(kept) and is_collected(own):
            copied = kept.with_name(f"{kept.name}.copy")
            shutil.rmtree(copied, ignore_errors=True)
            _link(own, copied)
            keep(copied, kept)


def _link(source: Path, target: Path) -> None:
    """Another name for the files of a folder, which are only ever replaced, not changed."""

    def link(file: str, copy: str) -> None:
        try:
            os.link(file, copy)
        except OSError:
            shutil.copyfile(file, copy)

    shutil.copytree(source, target, copy_function=link)
