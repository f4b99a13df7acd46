"""The pictures that a user names for a recipe: files and folders, each picture by a name of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from inverter.input_values import UNIT
from inverter_errors import BadInput, plural
from recipes.outputs.file_names import safe_name
from recipes.pictures.reading import named_pictures, read_picture
from recipes.pictures.sets import READERS, PictureSet

CHECKED = (32, 32)
"""Size in pixels at which pictures are read to see if they can be: a JPEG is decoded no larger than that needs."""


@dataclass(frozen=True)
class InputPictures:
    """Pictures by name.

    Attributes:
        files: name -> file, of the pictures that can be read. Names differ, also as names of files (`safe_name`).
        unreadable: file -> why it cannot be read, of the others.
        channels: with which the pictures are read: 3, 1 for grey, or those of arrays; None for those of each file.
        value_range: (low, high), the values of arrays.
    """

    files: Mapping[str, Path]
    unreadable: Mapping[str, str]
    channels: int | None = 3
    value_range: tuple[float, float] = UNIT

    @classmethod
    def find(
        cls,
        places: Sequence[str | Path],
        channels: int | None = 3,
        reserved: tuple[str, ...] = (),
        value_range: tuple[float, float] = UNIT,
    ) -> InputPictures:
        """The pictures at some places. In a folder, those that cannot be read are skipped.

        Args:
            places: files and folders.
            channels: of the network: 3, 1 for grey pictures, any for arrays; None for those of each file.
            reserved: endings that no name may have, since other files of a recipe end so.
            value_range: (low, high), the values of arrays.

        Raises:
            MissingFile: for a place that is not there.
            BadInput: for a folder without pictures, a file that was named itself and cannot be read, or if none can.
        """
        files = named_files(places, reserved)
        names, given = list(files), {Path(place) for place in places}
        unreadable: dict[str, str] = {}
        for batch in _picture_set(files, names, channels, value_range).batches(CHECKED, READERS):
            for index, reason in batch.skipped.items():
                if files[names[index]] in given:
                    raise BadInput(reason)
                unreadable[str(files[names[index]])] = reason
        if len(unreadable) == len(names):
            reason = next(iter(unreadable.values()))
            raise BadInput(f"none of the {plural(len(names), 'picture')} can be read; the first: {reason}")
        readable = {name: file for name, file in files.items() if str(file) not in unreadable}
        return cls(readable, unreadable, channels, value_range)

    def read(self, names: Sequence[str], size: tuple[int, int]) -> Tensor:
        """Pictures as the network sees them.

        Args:
            names: of the pictures.
            size: (height, width) in pixels: each picture is scaled to cover it, and the centre cut out.

        Returns:
            (B, C, H, W) in [0, 1], in the order of `names`.

        Raises:
            BadInput: for one that can no longer be read.
        """
        (batch,) = _picture_set(self.files, names, self.channels, self.value_range).batches(size, len(names))
        for reason in batch.skipped.values():
            raise BadInput(reason)
        return batch.images


def named_files(places: Sequence[str | Path], reserved: tuple[str, ...] = ()) -> dict[str, Path]:
    """All pictures at some places by name, whether they can be read or not: see `InputPictures.find`."""
    found: dict[str, Path] = {}
    taken: set[str] = set()
    for name, file in named_pictures(places).items():
        while name.endswith(reserved or ("\0",)) or safe_name(name) in taken:
            name += "~"
        taken.add(safe_name(name))
        found[name] = file
    return found


def _picture_set(
    files: Mapping[str, Path], names: Sequence[str], channels: int | None, value_range: tuple[float, float]
) -> PictureSet:
    return PictureSet(names, partial(_load, [files[name] for name in names], channels, value_range), READERS)


def _load(
    files: Sequence[Path], channels: int | None, value_range: tuple[float, float], index: int, size: tuple[int, int]
) -> Tensor:
    return read_picture(files[index], channels, size, value_range=value_range)
