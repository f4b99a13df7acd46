"""DeepDream: a photo, and whatever a network sees in it, amplified."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.options.fields import LARGEST, MACHINE, OPTIMISATION, OUTPUT, check_integer, option
from recipes.runner.recipe import NetworkFields, Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from inverter.settings import Precision
    from objectives import Objective
    from recipes.executors.progress import RunProgressCallback
    from recipes.runner.report import Report

OTHERS = (".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".mp4")
"""Suffixes of `out` that promise something else than the .png that is written."""
ZOOM = 1.05
"""How much nearer each frame of a zoom dream is."""
LATER = 0.3
"""Share of the steps that a frame takes which begins with a dream: with all of them the dream would overgrow."""
_LAYER = re.compile(r"(?P<address>.*?)(:(?P<channel>\d+))?(\*(?P<weight>[-+.\de]+))?")


@dataclass(frozen=True, kw_only=True)
class DeepDream(NetworkFields, Recipe):
    """What layers or channels see in a photo of any size, amplified (Mordvintsev et al. 2015, "Inceptionism").

    Raises:
        BadInput: for a number out of its range, a layer of another form, or frames that have no video to go to.

    Example:
        >>> dream = DeepDream(image="photo.jpg", layer=["features.9", "features.4:17*0.5"])
        >>> dream.targets
        [('features.9', None, 1.0), ('features.4', 17, 0.5)]
    """

    name: ClassVar[str] = "dream"

    image: str = option(MISSING, "the photo to start from: any size and mode")
    layer: str | Sequence[str] = option(
        MISSING, "ADDRESS, ADDRESS:CHANNEL, either with *WEIGHT, e.g. features.9:17*0.5; may be repeated", repeat=True
    )
    guide: str | None = option(None, "a second picture: amplify what looks like something in it")
    out: str = option("dream.png", "picture to write, or a folder for dream.png", group=OUTPUT)
    video: str | None = option(None, "file for the frames: .gif, or .mp4 (pip install 'inverter-vis[video]')")
    zoom: int = option(0, "frames of a zoom dream: each dreams on nearer to the middle of the one before")
    fps: int = option(12, "frames a second of the video")
    octaves: int | None = option(
        None, "sizes that are dreamt on, the last one the photo's own (default: from a short side of 128 pixels on)"
    )
    octave_scale: float = option(1.4, "from one octave to the next")
    steps: int = option(10, "steps in each octave")
    step_size: float = option(0.008, "step size in pixel values of [0, 1]", was="rate")
    tile: int = option(512, "largest side of what the network sees at once, in pixels: bounds the memory")
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
        if Path(self.out).suffix.lower() in OTHERS:
            raise BadInput(f"out {self.out!r}: expected a .png file or a folder")
        if self.zoom and self.video is None:
            raise BadInput("zoom makes frames: say where they go with video")
        if not self.targets:
            raise BadInput("layer: got none; expected an address (inverter layers shows them)")
        if self.guide is not None and any(channel is not None for _, channel, _ in self.targets):
            raise BadInput("a guide speaks to whole layers: leave out the channels")

    @property
    def targets(self) -> list[tuple[str, int | None, float]]:
        """The layers as (address, channel or None, weight)."""
        found = []
        for text in [self.layer] if isinstance(self.layer, str) else self.layer:
            match = _LAYER.fullmatch(text)
            try:
                if match is None or not match["address"]:
                    raise ValueError
                channel = int(match["channel"]) if match["channel"] else None
                found.append((match["address"], channel, float(match["weight"] or 1)))
            except ValueError:
                raise BadInput(f"layer {text!r}: expected ADDRESS, ADDRESS:CHANNEL, either with *WEIGHT") from None
        return found

    @property
    def path(self) -> Path:
        """The picture that is written."""
        out = Path(self.out)
        return out if out.suffix.lower() == ".png" and not out.is_dir() else out / "dream.png"

    @property
    def files(self) -> list[Path]:
        """All that is written: the picture, and the video if there is one."""
        return [self.path, *([Path(self.video)] if self.video is not None else [])]

    def _check_files(self) -> None:
        from recipes.outputs.video import check_video

        if self.video is not None:
            check_video(Path(self.video))
        for given in filter(None, (self.image, self.guide)):
            if Path(given).resolve() in [path.resolve() for path in self.files]:
                raise BadInput(f"the dream would replace the picture it is made from, {given}: give another file")

    def _photo(self) -> Tensor:
        """The photo (1, 3, H, W) in [0, 1], at the size that is asked for."""
        from recipes.deepdream.octaves import resized
        from recipes.pictures.reading import read_picture

        photo = read_picture(self.image)[None]
        if self.size is None:
            return photo
        height, width = (max(1, round(side * self.size / max(photo.shape[2:]))) for side in photo.shape[2:])
        return resized(photo, (height, width)).clamp(0, 1)

    def parts(self, model: Model) -> list[tuple[Objective, float]]:
        """What the layers see, or what they see of the guide, each with its weight."""
        from objectives import channel, layer
        from objectives.base import as_targets
        from objectives.units import check_channels

        found = []
        for address, index, weight in self.targets:
            model.check_layer(address)
            if index is not None:
                check_channels(as_targets(index, "channel"), model.shapes([address])[address][1], address)
            if self.guide is not None:
                part = _guided(model, address, self.guide)
            else:
                part = layer(address) if index is None else channel(address, index)
            found.append((part, weight))
        return found

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        yield  # it writes files, and has no folder of its own to lock

    def _run(self, progress: RunProgressCallback | None) -> Report:
        """Writes the picture and the video; after the first step, Ctrl-C leaves the unfinished dream next to them."""
        import torch

        from recipes.deepdream.octaves import carried, dream, octave_sizes, retoned, tone_of, zoomed
        from recipes.executors.progress import RunProgress
        from recipes.outputs.atomic import check_writable, unfinished, write_png
        from recipes.outputs.video import open_video

        started = time.perf_counter()
        self._check_files()
        photo = self._photo()
        size = (photo.shape[2], photo.shape[3])
        model = self.load()
        if len(model.mean) != 3:
            raise BadInput(f"{model.spec} takes pictures of {len(model.mean)} channels; dreams are in colour, of 3")
        parts = self.parts(model)
        for path in self.files:
            check_writable(path)
        photo = photo.to(model.device)
        generator = torch.Generator("cpu").manual_seed(self.seed)
        turns = [self.steps, *[max(1, round(LATER * self.steps))] * self.zoom]
        done, total = 0, sum(turns) * len(octave_sizes(size, self.octaves, self.octave_scale))
        tone = tone_of(photo)
        picture = photo
        with ExitStack() as stack:
            frame = stack.enter_context(open_video(Path(self.video), self.fps)) if self.video else None

            def on_progress(shown: Tensor) -> None:
                nonlocal done, picture
                done, picture = done + 1, shown
                if frame and not self.zoom:
                    if done == 1:
                        frame(photo[0])
                    frame(carried(shown, photo, size)[0])
                if progress is not None:
                    progress(RunProgress(done, total, 0, "step"))

            if progress is not None:
                progress(RunProgress(0, total, 0, "step"))
            try:
                for turn, steps in enumerate(turns):
                    if turn:
                        picture = photo = retoned(zoomed(picture, ZOOM), tone)
                    picture = dream(
                        model,
                        photo,
                        parts,
                        octaves=self.octaves,
                        octave_scale=self.octave_scale,
                        steps=steps,
                        rate=self.step_size,
                        tile=self.tile,
                        generator=generator,
                        precision=self.precision,
                        on_progress=on_progress,
                    )
                    if frame and self.zoom:
                        frame(picture[0])
            except KeyboardInterrupt:
                if not done:
                    raise KeyboardInterrupt("stopped before the first step; no file was written") from None
                picture = carried(picture, photo, size)
                if frame and self.zoom:
                    frame(picture[0])
                write_png(unfinished(self.path), picture[0])
                places = " and ".join(str(unfinished(path)) for path in self.files)
                raise KeyboardInterrupt(f"stopped after {done} of {total} steps; wrote {places}") from None
        write_png(self.path, picture[0])
        return self._report(model, sum(turns), time.perf_counter() - started)

    def _report(self, model: Model, steps: int, seconds: float) -> Report:
        from recipes.outputs.manifest import Manifest, Record, describe
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
        )
        manifest = Manifest(self.name, self.settings(), dict(describe(model)), planned=1, units={record.file: record})
        files = {"video": Path(self.video)} if self.video is not None else {}
        return Report(self.path.parent, manifest, made=1, seconds=seconds, files=files)

    def settings(self) -> dict[str, Any]:
        layers = [self.layer] if isinstance(self.layer, str) else list(self.layer)
        return super().settings() | {"model": self.model_name, "layer": layers}


def _guided(model: Model, address: str, guide: str) -> Objective:
    import torch

    from recipes.deepdream.octaves import guided
    from recipes.pictures.reading import fit, read_picture

    shown = fit(read_picture(guide), model.input_size)[None].to(model.device)
    with torch.no_grad(), model.capture([address]) as capture:
        seen = capture(model.normalize(shown))[address]
    if seen.ndim != 4:
        raise BadInput(f"layer {address!r} puts out {tuple(seen.shape)}: a guide needs a layer with maps (B, C, H, W)")
    return guided(address, seen)
