"""The recipe behind `inverter statistics`: natural-image statistics of a folder of pictures, for priors."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from priors.statistics import ImageStatistics, check_picture, measure

Progress = Callable[[int, int, str], None]
"""Called as (files read so far, files to read, the file just read, or why it was skipped)."""

_UNREADABLE = (OSError, EOFError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Measured:
    """What a run of `Statistics` gives back.

    Attributes:
        statistics: as written to `out`.
        out: the file.
        skipped: files that could not be used, each with the reason.
    """

    statistics: ImageStatistics
    out: Path
    skipped: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Statistics:
    """Measures mean, colour covariance and magnitude spectrum of one's own pictures (see `priors.statistics`).

    Attributes:
        images: a folder (searched in depth) or a file: pictures of any size and mode, and NumPy arrays `.npy`
            (C, H, W) or (N, C, H, W) for any number of channels, of 8 or 16 bits or with values in [0, 1].
        out: the JSON file to write; priors accept it as their `statistics`.
        channels: 3 reads pictures as RGB, 1 as grey; other numbers need arrays.
        source: what the pictures are, for people; by default the folder's name.

    Raises:
        ValueError: if a field makes no sense; see `run` for the rest.

    Example:
        >>> found = Statistics("photographs", "statistics.json").run()  # doctest: +SKIP
    """

    images: str | Path
    out: str | Path
    channels: int = 3
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.channels, int) or self.channels < 1:
            raise ValueError(f"expected channels of 1 or more, got {self.channels!r}")

    def run(self, progress: Progress | None = None) -> Measured:
        """Reads the pictures twice and writes the file.

        Args:
            progress: told after each file; silent by default.

        Raises:
            FileNotFoundError: if `images` does not exist.
            ValueError: if it holds no usable picture, or the colours of the pictures depend on each other.
            OSError: if the file cannot be written.
        """
        folder, out = Path(self.images), Path(self.out)
        if out.is_dir():
            raise IsADirectoryError(f"{out} is a folder: name the file to write, such as {out / 'statistics.json'}")
        if not folder.exists():
            raise FileNotFoundError(f"no such folder of pictures: {folder}")
        files = _files(folder)
        if not files:
            raise ValueError(f"{folder} holds no pictures: expected files such as .jpg, .png or .npy in it or below it")
        pictures = _Pictures(files, self.channels, progress)
        try:
            found = measure(pictures, self.source or folder.resolve().name)
        except ValueError as error:
            skipped = "; ".join(f"{path.name}: {reason}" for path, reason in list(pictures.skipped.items())[:3])
            reasons = f" ({len(pictures.skipped)} of {len(files)} files skipped: {skipped})" if skipped else ""
            raise ValueError(f"{folder}: {error}{reasons}") from None
        found.save(out)
        return Measured(found, out, tuple(pictures.skipped.items()))


class _Pictures:
    """The pictures of some files, one at a time, as often as one likes; unreadable files are found the first time."""

    def __init__(self, files: list[Path], channels: int, progress: Progress | None) -> None:
        self.files, self.channels, self.progress = files, channels, progress
        self.skipped: dict[Path, str] = {}
        self.rounds = 0

    def __iter__(self) -> Iterator[Tensor]:
        start, self.rounds = self.rounds * len(self.files), self.rounds + 1
        for done, path in enumerate(self.files, start + 1):
            if path not in self.skipped:
                try:
                    yield from _read(path, self.channels)
                except _UNREADABLE as error:
                    self.skipped[path] = " ".join(str(error).split()) or type(error).__name__
            if self.progress:
                reason = self.skipped.get(path)
                self.progress(done, 2 * len(self.files), f"skipped {path}: {reason}" if reason else str(path))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    known = {*Image.registered_extensions(), ".npy"}
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in known and file.is_file())


def _read(path: Path, channels: int) -> Iterable[Tensor]:
    """The pictures of one file as (channels, H, W) in [0, 1]: all of them, or an exception for the whole file."""
    if path.suffix.lower() == ".npy":
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.ndim not in (3, 4):
            raise ValueError(f"expected an array (C, H, W) or (N, C, H, W), got shape {array.shape}")
        parts = array if array.ndim == 4 else array[None]
        for part in parts:  # first all are checked, then they are handed out: never more than one in memory
            check_picture(_unit(part), channels)
        return (_unit(part) for part in parts)
    if channels not in _MODES:
        raise ValueError(f"a picture has 1 or 3 channels: for {channels}, give .npy arrays (N, {channels}, H, W)")
    with Image.open(path) as file:
        picture = ImageOps.exif_transpose(file)
        if picture.mode.startswith(("I", "F")):  # 16 bits and more: Pillow would cut them off at 255
            array = np.asarray(picture)
            if array.dtype.kind == "f" or array.min() < 0 or array.max() > 65535:
                raise ValueError(
                    f"expected 8 or 16 bits a channel, got mode {picture.mode}: save such pictures as .npy"
                )
            return [check_picture(_unit(array.astype(np.uint16)[None].repeat(channels, 0)))]
        array = np.asarray(picture.convert(_MODES[channels]))
    return [check_picture(_unit(array[None] if channels == 1 else array.transpose(2, 0, 1)))]


def _unit(array: np.ndarray[Any, Any]) -> Tensor:
    if array.dtype.kind == "u":
        return torch.from_numpy(array.astype(np.float32) / np.iinfo(array.dtype).max)
    if array.dtype.kind != "f":
        raise ValueError(f"expected unsigned whole numbers or numbers in [0, 1], got an array of {array.dtype}")
    return torch.from_numpy(array.astype(np.float32))
