"""The recipe behind `inverter statistics`: natural-image statistics of a folder of pictures, for priors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from inverter_errors import BadInput, MissingFile
from priors.measuring import measure
from priors.statistics import ImageStatistics
from recipes.pictures.reading import UNREADABLE, picture_files, read_pictures

Progress = Callable[[int, int, str], None]
"""Called as (files read so far, files to read, the file just read, or why it was skipped)."""


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
    """Measures mean, colour covariance and magnitude spectrum of one's own pictures (see `priors.measuring`).

    Attributes:
        images: a folder (searched in depth) or a file: pictures of any size and mode, and NumPy arrays `.npy`
            (C, H, W) or (N, C, H, W) for any number of channels, of 8 or 16 bits or with values in [0, 1].
        out: the JSON file to write; priors accept it as their `statistics`.
        channels: 3 reads pictures as RGB, 1 as grey; other numbers need arrays.
        source: what the pictures are, for people; by default the folder's name.

    Raises:
        BadInput: if a field makes no sense; see `run` for the rest.

    Example:
        >>> found = Statistics("photographs", "statistics.json").run()  # doctest: +SKIP
    """

    images: str | Path
    out: str | Path
    channels: int = 3
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.channels, int) or not 1 <= self.channels <= 4096:
            raise BadInput(f"expected channels from 1 to 4096, got {self.channels!r}")

    def run(self, progress: Progress | None = None) -> Measured:
        """Reads the pictures twice and writes the file.

        Args:
            progress: told after each file; silent by default.

        Raises:
            MissingFile: if `images` does not exist.
            BadInput: if it holds no usable picture, or the colours of the pictures depend on each other.
            OSError: if the file cannot be written.
        """
        folder, out = Path(self.images), Path(self.out)
        if out.is_dir():
            raise IsADirectoryError(f"{out} is a folder: name the file to write, such as {out / 'statistics.json'}")
        if not folder.exists():
            raise MissingFile(f"no such folder of pictures: {folder}")
        files = picture_files(folder)
        if not files:
            raise BadInput(f"{folder} holds no pictures: expected files such as .jpg, .png or .npy in it or below it")
        pictures = _Pictures(files, self.channels, progress)
        try:
            found = measure(pictures, self.source or folder.resolve().name)
        except ValueError as error:
            skipped = "; ".join(f"{path.name}: {reason}" for path, reason in list(pictures.skipped.items())[:3])
            reasons = f" ({len(pictures.skipped)} of {len(files)} files skipped: {skipped})" if skipped else ""
            raise BadInput(f"{folder}: {error}{reasons}") from None
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
                    yield from read_pictures(path, self.channels)
                except UNREADABLE as error:
                    self.skipped[path] = " ".join(str(error).split()) or type(error).__name__
            if self.progress:
                reason = self.skipped.get(path)
                self.progress(done, 2 * len(self.files), f"skipped {path}: {reason}" if reason else str(path))
