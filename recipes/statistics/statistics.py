"""`inverter statistics`: statistics of a folder of pictures for priors, or of a network's features on them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, MissingFile, plural
from recipes.options.fields import NETWORK, check_integer, option, texts
from recipes.options.input_values import checked_size
from recipes.runner.base import Recipe
from recipes.runner.network_fields import NetworkFields

if TYPE_CHECKING:
    from torch import nn

    from inverter import Model
    from recipes.executors.progress import RunProgressCallback
    from recipes.runner.report import Report


@dataclass(frozen=True, kw_only=True)
class Statistics(NetworkFields, Recipe):
    """Measures the mean, colour covariance and magnitude spectrum of a set of pictures (see `priors.measuring`).

    Pictures may have any size and mode. NumPy arrays `.npy` (C, H, W) or (N, C, H, W) may have any number of channels,
    as integers of 8 or 16 bits or floats in [0, 1], or any numbers in `value_range`. Priors accept the resulting file
    as `statistics`.

    With a `model`, the statistics are those of its features: each channel's mean and standard deviation over positions
    at some layers, and their spread between the pictures, for `natural` of other recipes (`objectives.natural`). That
    pass streams, and an interrupted one resumes.

    Raises:
        BadInput: for `channels` out of range.

    Example:
        >>> Statistics(images="photographs", out="statistics.json").channels
        3
    """

    name: ClassVar[str] = "statistics"

    images: str = option(MISSING, "picture or folder to measure, searched recursively")
    channels: int = option(3, "channels of the pictures: 1 for grey, 3 for colour; other numbers need .npy arrays")
    model: str | nn.Module | Model | None = option(  # type: ignore[assignment]
        None, "network whose features are measured instead, named as for other recipes", group=NETWORK
    )
    layers: str | Sequence[str] | None = option(
        None,
        "with model: address of a layer; may be repeated (default: nine through the depth, and "
        "the latents of directions)",
        repeat=True,
    )
    size: str | int | Sequence[int] | None = option(
        None, "with model: side at which it sees the pictures in pixels, or HxW (default: its input size)"
    )
    ranks: int = option(0, "with model: sorted values of each channel to record (default: none)")
    covariance: bool = option(False, "with model: record the covariance of the channels' means as well")
    value_range: str | Sequence[float] | None = option(None, "low,high: the values of arrays (default: 0,1)")
    source: str = option("", "description of the pictures (default: the folder's name)")
    out: str = option(MISSING, "file to write: .json, or with model .safetensors")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.channels, int) or not 1 <= self.channels <= 4096:
            raise BadInput(f"expected channels from 1 to 4096, got {self.channels!r}")
        check_integer("ranks", self.ranks, 0, 65536)
        object.__setattr__(self, "size", checked_size(self.size))
        given = [key for key in ("layers", "size", "ranks", "covariance") if getattr(self, key)]
        if self.model is None and given:
            raise BadInput(f"{given[0]} is of a network's features: set model to the network")
        if self.model is not None and Path(self.out).suffix != ".safetensors":
            raise BadInput(f"out {self.out!r}: feature statistics are written to a .safetensors file")

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        yield  # it writes a single file: there is no output folder to lock

    def _run(self, progress: RunProgressCallback | None) -> Report:
        if self.model is not None:
            return self._features(progress)
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

    def _features(self, progress: RunProgressCallback | None) -> Report:
        """Measures the network's features and writes the file."""
        from priors.base import as_size
        from recipes.activations.compared_layers import default_layers
        from recipes.outputs.atomic import check_writable
        from recipes.outputs.manifest import Manifest, describe
        from recipes.runner.report import Report
        from recipes.statistics.feature_measuring import measure_features

        started, out, model = time.perf_counter(), Path(self.out), self.load()
        check_writable(out)
        size = None if (side := checked_size(self.size)) is None else as_size(side)
        layers = list(texts(self.layers)) if self.layers else default_layers(model, size) + model.derived_layers()
        statistics, skipped = measure_features(
            model,
            self.images,
            layers,
            out.with_name(f".{out.name}.partial"),
            source=self.source or Path(self.images).resolve().name,
            size=size,
            ranks=self.ranks,
            covariance=self.covariance,
            progress=progress,
        )
        statistics.save(out)
        return Report(
            out.parent,
            Manifest(self.name, self.settings(), dict(describe(model)), planned=0),
            made=0,
            seconds=time.perf_counter() - started,
            files={"statistics": out},
            skipped=skipped,
            closing=f"{plural(statistics.images, 'picture')} measured, {len(skipped)} skipped; "
            f"layers {', '.join(layers)}",
        )

    def settings(self) -> dict[str, Any]:
        network = {} if self.model is None else self.network_settings()
        return super().settings() | network | {"layers": list(texts(self.layers)) if self.layers else None}
