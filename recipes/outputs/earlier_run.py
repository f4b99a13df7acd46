"""What an earlier part of a run left in its output folder: read to resume it, or removed to start over."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from inverter_errors import BadInput
from recipes.outputs.journal import forget, noted
from recipes.outputs.manifest import Manifest, Record
from recipes.outputs.summaries import SHEET, TABLE


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


def clear(folder: Path) -> None:
    """Removes the files of an earlier run: those that its manifest lists, and no other."""
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


def complete(folder: Path, unit: Record) -> bool:
    """True if all files of a unit are there."""
    return all((folder / file).is_file() for file in unit.files)


def written_by(recipe: str, path: Path) -> bool:
    """True if a file is the manifest of this recipe, which a new run may replace.

    Args:
        recipe: its name.
        path: of the file.
    """
    try:
        return Manifest.load(path).recipe == recipe
    except (BadInput, OSError):
        return False
