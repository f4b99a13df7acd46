"""The runs that pages start: which recipe each is, whether it is finished already, and what came of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from contextlib import suppress
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.explore.copies import copies
from recipes.explore.page_settings import ALLOWED, checked
from recipes.explore.server.access import Refused
from recipes.explore.server.responses import VIEWS
from recipes.explore.view_run import View, ViewJob

if TYPE_CHECKING:
    from recipes.explore.session import Session
    from recipes.runner.base import Recipe

MOST, MOST_KEPT = 256, 2000
"""Runs that are remembered, and whose folders are kept; of more of them, those that were not used for longest go."""
_lock = threading.Lock()


def start(session: Session, page: str, body: dict[str, Any]) -> dict[str, Any]:
    """Starts a run for a page, unless it is finished already.

    Args:
        session: of the server.
        page: that waits for it; a newer run of the same page and slot takes the place of the older one.
        body: `recipe`, `settings`, and `slot`, where its result is shown.

    Returns:
        `run` and `state`; of a finished one, what `describe` returns.

    Raises:
        Refused: for what pages may not ask for.
        InverterError: for settings that the recipe refuses.
    """
    slot = body.get("slot", "")
    if not isinstance(slot, str) or len(slot) > 40:
        raise Refused(400, "slot: expected a text of 40 characters at most")
    view = _known(session, recipe_for(session, *checked(session, body.get("recipe"), body.get("settings", {}))))
    if view.finished:
        os.utime(view.folder)
        session.workers.stop(lambda job: (job.page, job.slot) == (page, slot))
        return describe(session, view.run)
    if view.state != "running":
        view.state = "waiting"
    _tidy(session)
    session.workers.foreground(ViewJob(session, view, page, slot))
    return {"run": view.run, "state": view.state}


def describe(session: Session, run: str) -> dict[str, Any]:
    """A run with its pictures so far.

    Args:
        session: of the server.
        run: its id.

    Raises:
        Refused: if it is not known.
    """
    view = find(session, run)
    found = {"run": run, "state": view.state, "share": view.share, "message": view.message, "recipe": view.recipe.name}
    manifest, files = view.manifest(), {}
    units = [] if manifest is None else [record.to_json() for record in manifest.units.values()]
    for unit in units:
        unit["url"] = _listed(session, view.folder / unit["file"])
        extra = unit.get("extra_files", {})
        unit["extra_files"] = {kind: _listed(session, view.folder / file) for kind, file in extra.items()}
    if (pictures := view.folder / "pictures").is_dir():
        files = {f"pictures/{path.name}": _listed(session, path) for path in sorted(pictures.glob("*.jpg"))}
    settings = {} if manifest is None else {k: v for k, v in manifest.settings.items() if k not in ("out", "weights")}
    table = [] if manifest is None else manifest.table
    found |= {"settings": settings, "units": units, "table": table, "files": files}
    try:
        found["copies"] = copies(_taken_along(view.recipe))
    except BadInput:  # of a network that was given from Python
        found["copies"] = {}
    return found


def stop(session: Session, run: str, page: str | None = None) -> None:
    """Stops a run; what is finished of it is kept.

    Args:
        session: of the server.
        run: its id.
        page: for which it is stopped: others may wait for the same run (default: for all).

    Raises:
        Refused: if it is not known.
    """
    view = find(session, run)
    session.workers.stop(lambda job: getattr(job, "view", None) is view and page in (None, job.page))


def find(session: Session, run: str) -> View:
    """A run by its id.

    Raises:
        Refused: if it is not known.
    """
    view: View | None = session.runs.get(run)
    if view is None:
        raise Refused(404, f"there is no run {run[:64]!r} any more: reload the page")
    return view


def recipe_for(session: Session, name: str, given: dict[str, Any]) -> Recipe:
    """The recipe that a page asks for, with what only the server says: network, machine and pictures.

    Args:
        session: of the server.
        name: of the recipe.
        given: its fields, checked.

    Raises:
        Refused: for a recipe on photographs without any, or a setting that is missing.
        InverterError: for settings that the recipe refuses.
    """
    from recipes import find_recipe

    kind, options = find_recipe(name), session.options
    assert kind is not None  # `checked` knows these alone
    known = {field.name: field for field in fields(kind) if not field.metadata.get("hidden")}
    own = {key: getattr(options, key) for key in OF_SERVER if key in known}
    if "images" in known and name != "gallery" and options.images is not None:
        own["images"] = options.images
    if name in ("gallery", "mix", "circuit"):  # pictures of units, as the grid makes them
        own |= {key: getattr(options, key) for key in ("size", "steps", "prior", "augment", "seed")}
    recipe_fields = own | given
    for key, field in known.items():
        if field.default is MISSING and key not in recipe_fields:
            if key == "images":
                raise Refused(400, "start the server with --images FOLDER to see photographs")
            raise Refused(400, f"{name} needs {key}")
    recipe = kind(**recipe_fields, out=VIEWS)
    digest = hashlib.blake2b(json.dumps(recipe.settings(), default=str).encode(errors="surrogatepass"), digest_size=12)
    return replace(recipe, out=str(session.out / VIEWS / f"{name}-{digest.hexdigest()}"))


OF_SERVER = (
    *("model", "weights", "normalize", "input_size", "categories", "axes", "value_range", "show_channels"),
    *("directions", "device", "precision", "threads"),
)
"""Fields that are the server's own options."""


def _taken_along(recipe: Recipe) -> Recipe:
    """A recipe as it is copied: its folder is the recipe's usual one, and its photographs are found from anywhere."""
    (out,) = (field.default for field in fields(recipe) if field.name == "out")
    image = getattr(recipe, "image", None)
    found = {"image": str(Path(image).resolve())} if isinstance(image, str) and image else {}
    return replace(recipe, out=out, **found)  # type: ignore[arg-type]


def _known(session: Session, recipe: Recipe) -> View:
    """The run of a recipe, which may be on disk from an earlier life of the server."""
    run = Path(recipe.out).name
    with _lock:
        view: View = session.runs.pop(run, None) or View(run, recipe)
        session.runs[run] = view  # the newest is the last
        while len(session.runs) > MOST:
            session.runs.pop(next(iter(session.runs)))
    return view


def _tidy(session: Session) -> None:
    """Removes the folders of runs that nobody has used for long, beyond those that are kept."""
    with _lock, suppress(FileNotFoundError):
        kept = [path for path in (session.out / VIEWS).iterdir() if path.name.rpartition("-")[0] in ALLOWED]
        if len(kept) > MOST_KEPT:
            others = [path for path in kept if path.name not in session.runs]
            others.sort(key=lambda path: path.stat().st_mtime)
            for path in others[: len(kept) - MOST_KEPT]:
                shutil.rmtree(path, ignore_errors=True)


def _listed(session: Session, path: Path) -> str | None:
    try:
        return session.files.add(path)
    except OSError:
        return None
