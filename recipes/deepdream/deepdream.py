"""DeepDream: a photo in which the activations of chosen layers or channels are amplified."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, MissingFile
from recipes.deepdream.targets import Target, read_targets, weighted_objectives
from recipes.options.fields import LARGEST, MACHINE, OPTIMISATION, OUTPUT, check_integer, option
from recipes.runner.base import Recipe
from recipes.runner.natural_fields import NaturalFields
from recipes.runner.network_fields import NetworkFields

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from inverter.settings import Precision
    from recipes.executors.progress import RunProgressCallback
    from recipes.outputs.rendering.showing import Showing
    from recipes.runner.report import Report

OTHER_SUFFIXES = (".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".mp4")
"""Suffixes of `out` that are refused: the picture that is written is a .png."""
ZOOM = 1.05
"""Magnification from one frame of a zoom dream to the next."""
NATURAL_WEIGHT = 1.0
"""Default weight of natural statistics, relative to the score: the weights of units do not change a dream visibly."""
LATER_STEPS = 0.6
"""Fraction of the steps for each further frame of a zoom dream: it starts from a dream, and needs fewer.
With half as many, what is magnified goes soft faster than it is redrawn (docs/deepdream.md)."""


@dataclass(frozen=True, kw_only=True)
class DeepDream(NaturalFields, NetworkFields, Recipe):
    """A photo in which the response of layers or channels is amplified (Mordvintsev et al. 2015, "Inceptionism").

    Normalised gradient ascent on the photo, octave by octave and tile by tile: x <- x + step_size g / std(g), with g
    the smoothed gradient of the weighted sum of the layers' (or channels') objectives. See `octaves.dream`. Photos may
    have any size.

    Raises:
        BadInput: for a number out of its range, a layer of another form, or zoom frames without a video.

    Example:
        >>> dream = DeepDream(image="photo.jpg", layer=["features.9", "features.4:17*0.5"])
        >>> dream.targets
        [('features.9', None, 1.0), ('features.4', 17, 0.5)]
    """

    name: ClassVar[str] = "dream"

    @property
    def usual_natural_weight(self) -> float:
        return NATURAL_WEIGHT

    image: str = option(MISSING, "photo to start from, of any size and mode")
    layer: str | Sequence[str] = option(
        MISSING,
        "layer or channel to amplify: ADDRESS or ADDRESS:CHANNEL, with *WEIGHT if several, e.g. features.9:17*0.5; "
        "may be repeated",
        repeat=True,
    )
    guide: str | None = option(
        None, "second picture, whose features and colours are taken up: name a deep layer, which knows objects"
    )
    out: str = option("dream.png", "picture to write (.png), or a folder for dream.png", group=OUTPUT)
    video: str | None = option(None, "video to write: .gif, or .mp4 (pip install 'inverter-vis[video]')")
    zoom: int = option(0, "number of zoom frames, each a dream on the enlarged centre of the last (default: none)")
    fps: int = option(12, "frames per second of the video")
    octaves: int | None = option(
        None, "number of octaves (image scales) up to the photo's size (default: from a short side of 128 pixels up)"
    )
    octave_scale: float = option(1.4, "size ratio of successive octaves")
    steps: int = option(10, "gradient steps per octave")
    step_size: float = option(0.008, "step size in pixel values of [0, 1]", was="rate")
    tile: int = option(512, "largest side of a tile in pixels, which bounds the memory")
    size: int | None = option(None, "longest side of the result in pixels (default: the photo's)")
    seed: int = option(0, "seed of the random tile positions", group=OPTIMISATION)
    precision: Precision = option("auto", "auto, float32 or bfloat16", group=MACHINE)

    def __post_init__(self) -> None:
        limits = {"octaves": (1, 64), "steps": (1, 10**6), "tile": (32, LARGEST), "size": (1, LARGEST)}
        limits |= {"fps": (1, 1000), "zoom": (0, 10**6), "seed": (0, 2**63 - 1)}
        for key, (least, most) in limits.items():
            if getattr(self, key) is not None or key not in ("octaves", "size"):
                check_integer(key, getattr(self, key), least, most)
        if not 1 < self.octave_scale <= 100:
            raise BadInput(f"octave_scale must be above 1 and at most 100, got {self.octave_scale!r}")
        if not 0 < self.step_size <= 1:
            raise BadInput(f"step_size must be above 0 and at most 1, got {self.step_size!r}")
        super().__post_init__()
        self.check_natural()
        if Path(self.out).suffix.lower() in OTHER_SUFFIXES:
            raise BadInput(f"out {self.out!r}: expected a .png file or a folder")
        if self.zoom and self.video is None:
            raise BadInput("zoom makes frames of a video: set video to a file")
        if not self.targets:
            raise BadInput("layer: got none; expected an address (inverter layers lists them)")
        if self.guide is not None and any(channel is not None for _, channel, _ in self.targets):
            raise BadInput("guide works with layers, not with single channels: leave out the channels")

    @property
    def targets(self) -> list[Target]:
        """The layers as (address, channel or None, weight).

        Raises:
            BadInput: for text of another form.
        """
        return read_targets([self.layer] if isinstance(self.layer, str) else self.layer)

    @property
    def path(self) -> Path:
        """The picture that is written."""
        out = Path(self.out)
        return out if out.suffix.lower() == ".png" and not out.is_dir() else out / "dream.png"

    @property
    def files(self) -> list[Path]:
        """All files that are written: the picture, and the video if there is one."""
        return [self.path, *([Path(self.video)] if self.video is not None else [])]

    def _check_files(self) -> None:
        from recipes.outputs.earlier_run import written_by
        from recipes.outputs.rendering.video import check_video

        if self.video is not None:
            check_video(Path(self.video))
        if self.manifest_path.exists() and not written_by(DeepDream.name, self.manifest_path):
            raise BadInput(f"{self.manifest_path} is there and not of a dream: choose another file or folder")
        for given in filter(None, (self.image, self.guide)):
            if "\0" in given:
                raise MissingFile(f"no picture {given!r}")
            if Path(given).resolve() in [path.resolve() for path in (*self.files, self.path.with_suffix(".npy"))]:
                raise BadInput(f"the dream would replace the picture it is made from, {given}: choose another file")

    def _photo(self, model: Model) -> Tensor:
        """The photo (1, C, H, W) in [0, 1], at the size of the result."""
        from recipes.deepdream.octaves import resized
        from recipes.pictures.reading import read_picture

        photo = read_picture(self.image, len(model.mean), value_range=model.value_range)[None]
        if self.size is None:
            return photo
        height, width = (max(1, round(side * self.size / max(photo.shape[2:]))) for side in photo.shape[2:])
        return resized(photo, (height, width)).clamp(0, 1)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        yield  # it writes single files: there is no output folder to lock

    def _run(self, progress: RunProgressCallback | None) -> Report:
        return self.make(progress)

    def make(
        self, progress: RunProgressCallback | None = None, on_picture: Callable[[Tensor], None] | None = None
    ) -> Report:
        """Writes the picture and the video; when interrupted, the unfinished dream next to them.

        Args:
            progress: as in `run`.
            on_picture: called after every step with the picture (C, h, w), which is modified in place afterwards.

        Raises:
            Exception: as `run`.
        """
        import torch

        from recipes.deepdream.octaves import add_detail, colour_statistics, dream, match_colours, octave_sizes, zoomed
        from recipes.deepdream.progress import DreamProgress
        from recipes.outputs.atomic import check_writable, unfinished
        from recipes.outputs.rendering.showing import Showing
        from recipes.outputs.rendering.video import open_video

        started = time.perf_counter()
        self._check_files()
        model = self.load()
        photo, showing = self._photo(model), Showing.of(model)
        size = (photo.shape[2], photo.shape[3])
        parts, statistics = weighted_objectives(model, self.targets, photo, self.guide), self.feature_statistics(model)
        for path in self.files:
            check_writable(path)
        photo = photo.to(model.device)
        generator = torch.Generator("cpu").manual_seed(self.seed)
        frame_steps = [self.steps, *[max(1, round(LATER_STEPS * self.steps))] * self.zoom]
        sizes = octave_sizes(size, self.octaves, self.octave_scale)
        done, total, counted = 0, sum(frame_steps) * len(sizes), DreamProgress(progress, sizes, frame_steps)
        colours = colour_statistics(photo)
        picture = photo
        with ExitStack() as stack:
            write_frame = stack.enter_context(open_video(Path(self.video), self.fps, showing)) if self.video else None

            def on_progress(shown: Tensor) -> None:
                nonlocal done, picture
                done, picture = done + 1, shown
                if write_frame and not self.zoom:
                    if done == 1:
                        write_frame(photo[0])
                    write_frame(add_detail(shown, photo, size)[0])
                if on_picture is not None:
                    on_picture(shown[0])
                counted.step()

            try:
                for frame, steps in enumerate(frame_steps):
                    if frame:
                        picture = photo = match_colours(zoomed(picture, ZOOM), colours)
                    picture = dream(
                        model,
                        photo,
                        parts,
                        octaves=self.octaves,
                        octave_scale=self.octave_scale,
                        steps=steps,
                        step_size=self.step_size,
                        tile=self.tile,
                        generator=generator,
                        precision=self.precision,
                        natural_colours=self.guide is None,
                        completed=lambda objective: self.held_natural(model, objective, statistics),
                        on_progress=on_progress,
                    )
                    if write_frame and self.zoom:
                        write_frame(picture[0])
            except KeyboardInterrupt:
                if not done:
                    raise KeyboardInterrupt("stopped before the first step; no file was written") from None
                picture = add_detail(picture, photo, size)
                if write_frame and self.zoom:
                    write_frame(picture[0])
                self._write(unfinished(self.path), picture[0], showing)
                files = " and ".join(str(unfinished(path)) for path in self.files)
                raise KeyboardInterrupt(f"stopped after {done} of {total} steps; wrote {files}") from None
        kept = self._write(self.path, picture[0], showing)
        return self._report(model, sum(frame_steps), time.perf_counter() - started, kept)

    def _write(self, path: Path, picture: Tensor, showing: Showing) -> dict[str, Path]:
        """Writes the picture, and its array if the picture does not show all of it; returns the array by its kind."""
        from recipes.outputs.atomic import write_npy, write_png

        files = {}
        if (values := showing.array(picture)) is not None:
            files["channels"] = path.with_suffix(".npy")
            write_npy(files["channels"], values)
        write_png(path, showing.picture(picture), self._about())
        return files

    def _about(self) -> dict[str, str]:
        """The text chunks of the picture."""
        from recipes.outputs.provenance import provenance

        return provenance(self.name, self.settings()) | {"layer": ",".join(self.settings()["layer"])}

    @property
    def manifest_path(self) -> Path:
        """The record of the run: `manifest.json` in a folder, or for a picture `NAME.json` next to it."""
        folder = self.path.name == "dream.png" and self.path.parent == Path(self.out)
        return self.path.with_name("manifest.json") if folder else self.path.with_suffix(".json")

    def _report(self, model: Model, steps: int, seconds: float, files: dict[str, Path]) -> Report:
        """Writes the record of the run."""
        from recipes.outputs.atomic import write_text
        from recipes.outputs.manifest import Manifest, Record, describe
        from recipes.outputs.summaries import write_summaries
        from recipes.runner.report import Report

        record = Record(
            layer=",".join(address for address, _, _ in self.targets),
            channel=None,
            objective="dream",
            attempt=0,
            seed=self.seed,
            file=self.path.name,
            score=None,
            steps=steps,
            seconds=seconds,
            status="ok",
            image=Path(self.image).stem,
            extra_files={kind: file.name for kind, file in files.items()},
        )
        manifest = Manifest(self.name, self.settings(), dict(describe(model)), planned=1, units={record.file: record})
        write_text(self.manifest_path, json.dumps(manifest.to_json(), indent=1))
        if self.manifest_path.name == "manifest.json":
            write_summaries(self.path.parent, manifest)
        files |= {"video": Path(self.video)} if self.video is not None else {}
        return Report(self.path.parent, manifest, made=1, seconds=seconds, files=files)

    def settings(self) -> dict[str, Any]:
        layers = [self.layer] if isinstance(self.layer, str) else list(self.layer)
        return super().settings() | self.network_settings() | self.natural_settings(recorded=True) | {"layer": layers}
