"""A finished run read from its folder, and the units of it that a user names."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from inverter_errors import BadInput, MissingFile, NotFound
from recipes.options.indices import parse_channels
from recipes.options.suggest import nearest
from recipes.outputs.manifest import Manifest, Record
from recipes.outputs.vocabulary import INPUTS

MANIFEST = "manifest.json"
CHANNELS = 1 << 20
"""More than a layer has."""


def manifest_of(run: str | Path) -> tuple[Path, Manifest]:
    """The output folder and the manifest of a run.

    Args:
        run: an output folder, or the `manifest.json` in it.

    Raises:
        MissingFile: if there is no manifest.
        BadInput: if it is damaged, or of another version.
    """
    path = Path(run) / MANIFEST if Path(run).is_dir() else Path(run)
    if not path.is_file():
        raise MissingFile(f"no manifest {str(path)!r}; expected the output folder of a run")
    return path.parent, Manifest.load(path)


def select(manifest: Manifest, names: Sequence[str] = ()) -> list[Record]:
    """Units of a run, in the order in which they are named.

    Args:
        manifest: of the run.
        names: `LAYER`, `LAYER/CHANNELS` as `features.9/0-7,12`, the name of a class, or a picture's file, also with
            wildcards. Without any: all units that are no input images.

    Raises:
        NotFound: if a text matches no unit; it shows similar ones.
    """
    records = list(manifest.units.values())
    if not names:
        return [record for record in records if record.objective not in INPUTS]
    found: dict[str, Record] = {}
    for text in names:
        matching = [record for record in records if _matches(record, text)]
        if not matching:
            known = dict.fromkeys(
                name for record in records for name in (f"{record.layer}/{record.channel}", record.layer)
            )
            raise NotFound(f"the run has no unit {text!r}{nearest(text, known)}")
        found |= {record.file: record for record in matching}
    return list(found.values())


def _matches(record: Record, text: str) -> bool:
    if text in (record.layer, record.name, record.image) or fnmatchcase(record.file, text):
        return True
    layer, _, channels = text.rpartition("/")
    if layer != record.layer or record.channel is None:
        return False
    try:
        return record.channel in parse_channels(channels, CHANNELS, "a layer")
    except BadInput:
        return False
