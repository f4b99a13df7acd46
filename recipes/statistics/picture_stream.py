"""The pictures of some files, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from inverter.input_values import UNIT
from recipes.executors.progress import RunProgress, RunProgressCallback
from recipes.pictures.reading import UNREADABLE, read_pictures


class PictureStream:
    """An iterable over the pictures of some files, which skips unreadable files and can be iterated twice.

    Args:
        files: the picture files.
        channels: of each picture.
        value_range: (low, high), the values of arrays that become 0 and 1.
        progress: called after every file with the files done, of two iterations.

    Attributes:
        skipped: file -> why it could not be read.
        rounds: iterations that have begun.
    """

    def __init__(
        self,
        files: list[Path],
        channels: int,
        progress: RunProgressCallback | None,
        value_range: tuple[float, float] = UNIT,
    ) -> None:
        self.files, self.channels, self.progress, self.value_range = files, channels, progress, value_range
        self.skipped: dict[Path, str] = {}
        self.rounds = 0

    def __iter__(self) -> Iterator[Tensor]:
        start, self.rounds = self.rounds * len(self.files), self.rounds + 1
        for done, path in enumerate(self.files, start + 1):
            if path not in self.skipped:
                try:
                    yield from read_pictures(path, self.channels, value_range=self.value_range)
                except UNREADABLE as error:
                    self.skipped[path] = " ".join(str(error).split()) or type(error).__name__
            if self.progress:  # each file is read twice
                self.progress(RunProgress(done / 2, len(self.files), finished=0, noun="file"))
