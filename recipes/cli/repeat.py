"""`inverter repeat`: make a picture of a finished run again, from its manifest alone, and compare."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from inverter import __version__
from inverter_errors import BadInput, MissingFile, NotFound
from recipes import find_recipe
from recipes.options.fields import key_of
from recipes.options.networks import from_python
from recipes.options.suggest import nearest
from recipes.outputs.manifest import PASSING, Manifest, Record, describe, other_network, versions
from recipes.runner.recipe import UnitRecipe
from recipes.runner.run import run
from recipes.runner.units import places

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgressCallback

KEPT = ("activations", "layout", "directions")
"""Folders, below an output folder, of what a recipe computes once and reads from there afterwards."""


@dataclass(frozen=True)
class Repeated:
    """A picture that was made again.

    Attributes:
        file: of the picture, below the output folder.
        same: True if it is the same, bit for bit.
        difference: what differs, in words; None if they are the same.
        changes: versions that have changed since the run was made, and may be the reason.
    """

    file: str
    same: bool
    difference: str | None
    changes: Sequence[str]


def repeat(
    manifest: str | Path,
    unit: str,
    *,
    weights: str | None = None,
    device: str | None = None,
    progress: RunProgressCallback | None = None,
) -> list[Repeated]:
    """Makes pictures of a run again and compares them bit for bit; the run's folder is left as it is.

    The last bits of a picture depend on the batch that it was optimised in, so its complete batch is made.

    Args:
        manifest: `manifest.json`, or the output folder that holds it.
        unit: `LAYER/CHANNEL`, for all pictures of that unit, or the file of one picture, as in the manifest.
        weights: where the weights file is now, if it has moved.
        device: if it is not the run's.
        progress: called with a `RunProgress` as the work goes on.

    Returns:
        One comparison for each picture.

    Raises:
        MissingFile: no manifest, no picture to compare with, no weights.
        BadInput: a manifest of another version, a model or pictures given from Python, changed weights.
        NotFound: a unit that the run does not have.
    """
    path = Path(manifest) / "manifest.json" if Path(manifest).is_dir() else Path(manifest)
    if not path.is_file():
        raise MissingFile(f"no manifest {str(path)!r}; expected OUT/manifest.json of a finished run")
    known = Manifest.load(path)
    records = _requested(known, unit, path)
    recipe = _recipe(known, path)
    overrides = {"weights": weights or known.settings.get("weights"), "device": device or known.model.get("device")}
    overrides |= {"threads": known.settings.get("threads")}  # they decide the order of sums
    with tempfile.TemporaryDirectory() as place:
        out = Path(place)
        _link(path.parent, out)
        options = _options(recipe, known, path) | {"batch_size": known.settings.get("batch_size"), "out": place}
        options |= {key: value for key, value in overrides.items() if key in {field.name for field in fields(recipe)}}
        part = recipe(**options)
        model = part.load()
        if model.sha256 != known.model.get("sha256"):
            raise BadInput(
                f"the weights of {model.spec} have changed: their sha256 was {known.model.get('sha256')}, "
                f"and is {model.sha256}; give the old ones with weights"
            )
        if changed := other_network(known.model, describe(model)):
            raise BadInput(f"{model.spec} is not as it was: {changed}")
        made = places(known.units.values())
        run(part, progress, model=model, only={record.file for record in records}, made=made)
        changes = _changes(known, path)
        return [_compared(record.file, path.parent, out, changes) for record in records]


def _requested(manifest: Manifest, unit: str, path: Path) -> list[Record]:
    found = [r for r in manifest.units.values() if unit in (r.file, f"{r.layer}/{r.channel}")]
    if not found:
        names = [f"{r.layer}/{r.channel}" if r.channel is not None else r.file for r in manifest.units.values()]
        raise NotFound(f"{path} has no unit {unit!r}{nearest(unit, dict.fromkeys(names))}")
    for record in found:
        if not (path.parent / record.file).is_file():
            raise MissingFile(f"no picture {str(path.parent / record.file)!r} to compare with")
    return found


def _recipe(manifest: Manifest, path: Path) -> type[UnitRecipe]:
    recipe = find_recipe(manifest.recipe)
    if recipe is None or not issubclass(recipe, UnitRecipe):
        what = "makes no pictures by optimisation" if recipe else "is none that this version knows"
        raise BadInput(f"{path}: the recipe {manifest.recipe!r} {what}, so it cannot be repeated")
    if from_python(manifest.settings.get("model")):
        raise BadInput(f"{path}: the model was given from Python as a module; only one with a name can be repeated")
    return recipe


def _options(recipe: type[UnitRecipe], manifest: Manifest, path: Path) -> dict[str, Any]:
    """The recipe's fields as the run had them, without those that leave its pictures as they are."""
    known = {key_of(field): field for field in fields(recipe)}
    renamed = {field.metadata["was"]: key for key, field in known.items() if "was" in field.metadata}
    given = {renamed.get(key, key): value for key, value in manifest.settings.items()}
    foreign = [key for key in given if key not in known]
    said = {key: field for key, field in known.items() if not field.metadata.get("hidden")}
    missing = [key for key, field in said.items() if key not in given and (field.default is MISSING or field.default)]
    for keys, what in ((foreign, "has settings that this version does not know"), (missing, "lacks settings")):
        if any(key not in PASSING for key in keys):
            raise BadInput(f"{path} was made by another version of inverter: it {what} ({', '.join(keys)})")
    return {known[key].name: value for key, value in given.items() if key in known and key not in PASSING}


def _link(folder: Path, out: Path) -> None:
    """Links what the finished run has computed into the folder of the new one, which only reads it."""
    for source in (path for name in KEPT for path in (folder / name).rglob("*") if path.is_file()):
        target = out / source.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.symlink_to(source.resolve())
        except OSError:  # Windows, for who is no administrator
            shutil.copyfile(source, target)


def _changes(manifest: Manifest, path: Path) -> list[str]:
    old = {"inverter": json.loads(path.read_bytes()).get("inverter"), **manifest.versions}
    new = {"inverter": __version__, **versions()}
    return [f"{name} was {old.get(name)}, is {value}" for name, value in new.items() if old.get(name) != value]


def _compared(file: str, before: Path, after: Path, changes: Sequence[str]) -> Repeated:
    pixels = []
    for folder in (before, after):
        with Image.open(folder / file) as picture:
            pixels.append(np.asarray(picture).astype(np.int16))
    old, new = pixels
    if old.shape != new.shape:
        return Repeated(file, False, f"its shape was {old.shape}, is {new.shape}", changes)
    off = np.abs(old - new)
    if not off.any():
        return Repeated(file, True, None, changes)
    difference = f"{np.count_nonzero(off)} of {off.size} values differ, by {off.max()} of 255 at most"
    return Repeated(file, False, difference, changes)
