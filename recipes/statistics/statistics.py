"""`inverter statistics`: colour and spectrum statistics of a folder of pictures, for priors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from inverter_errors import BadInput, MissingFile, plural
from recipes.options.fields import option
from recipes.runner.base import Recipe

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgressCallback
    from recipes.runner.report import Report


@dataclass(frozen=True, kw_only=True)
class Statistics(Recipe):
    """Measures the mean, colour covariance and magnitude spectrum of a set of pictures (see `priors.measuring`).

    Pictures may have any size and mode. NumPy arrays `.npy` (C, H, W) or (N, C, H, W) may have any number of channels,
    as integers of 8 or 16 bits or floats in [0, 1], or any numbers in `value_range`. Priors accept the resulting file
    as `statistics`.

    Raises:
        BadInput: for `channels` out of range.

    Example:
        >>> Statistics(images="photographs", out="statistics.json").channels
        3
    """

    name: ClassVar[str] = "statistics"

    images: str = option(MISSING, "picture or folder to measure, searched recursively")
    channels: int = option(3, "channels of the pictures: 1 for grey, 3 for colour; other numbers need .npy arrays")
    value_range: str | Sequence[float] | None = option(None, "low,high: the values of arrays (default: 0,1)")
    source: str = option("", "description of the pictures (default: the folder's name)")
    out: str = option(MISSING, "statistics file to write, e.g. statistics.json")
    device: str | None = option(None, "", hidden=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.channels, int) or not 1 <= self.channels <= 4096:
            raise BadInput(f"expected channels from 1 to 4096, got {self.channels!r}")

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        yield  # it writes a single file: there is no output folder to lock

    def _run(self, progress: RunProgressCallback | None) -> Report:
        """Reads the pictures twice and writes the file."""
        from inverter.input_values import UNIT, as_value_range
        from priors.measuring import measure
        from recipes.outputs.manifest import Manifest
        from recipes.pictures.reading import picture_files
        from recipes.runner.report import Report
        from recipes.statistics.picture_stream import PictureStream

        started, folder, out = time.perf_counter(), Path(self.images), Path(self.out)
        if out.is_dir():
            raise IsADirectoryError(
                f"out {out} is a folder; expected a file to write, such as {out / 'statistics.json'}"
            )
        if not folder.exists():
            raise MissingFile(f"no such folder of pictures: {folder}")
        files = picture_files(folder)
        if not files:
            raise BadInput(f"{folder} holds no pictures: expected files such as .jpg, .png or .npy in it or below it")
        values = UNIT if self.value_range is None else as_value_range(self.value_range)
        pictures = PictureStream(files, self.channels, progress, values)
        try:
            statistics = measure(pictures, self.source or folder.resolve().name)
        except ValueError as error:
            skipped = "; ".join(f"{path.name}: {reason}" for path, reason in list(pictures.skipped.items())[:3])
            reasons = (
                f" ({len(pictures.skipped)} of {plural(len(files), 'file')} skipped: {skipped})" if skipped else ""
            )
            raise BadInput(f"{folder}: {error}{reasons}") from None
        statistics.save(out)
        slopes = ", ".join(f"{slope:.2f}" for slope in statistics.slope().tolist())
        return Report(
            out.parent,
            Manifest(self.name, self.settings(), {}, planned=0),
            made=0,
            seconds=time.perf_counter() - started,
            files={"statistics": out},
            skipped={str(path): reason for path, reason in pictures.skipped.items()},
            closing=f"{plural(statistics.images, 'picture')} measured, {len(pictures.skipped)} skipped; "
            f"spectrum slopes {slopes}",
        )
