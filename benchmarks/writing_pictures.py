"""Encoding and writing a batch of pictures: one after the other as they were, and in the writer's threads.

    python benchmarks/writing_pictures.py FOLDER_OF_PNGS

The pictures are those of a gallery (64 of them, repeated if there are fewer). Both ways alternate; it prints the time
of a picture in each, the time that the employing thread was held up, and the sizes of the files.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inverter.result import to_pil
from recipes.outputs.atomic import write_bytes
from recipes.outputs.manifest import Manifest, Record
from recipes.outputs.store import Store

COUNT = 64


def before(folder: Path, images: list[Tensor]) -> tuple[float, float, int]:
    """Pillow's own compression and an fsync for each file, in this thread; (seconds, of these held up, bytes)."""
    started, size = time.perf_counter(), 0
    for index, image in enumerate(images):
        buffer = io.BytesIO()
        to_pil(image).save(buffer, format="PNG")
        write_bytes(folder / f"{index}.png", buffer.getvalue())
        size += len(buffer.getvalue())
    seconds = time.perf_counter() - started
    return seconds, seconds, size


def now(folder: Path, images: list[Tensor]) -> tuple[float, float, int]:
    """As a run does; (seconds, of these held up, bytes)."""
    files = [f"{index}.png" for index in range(len(images))]
    store = Store.open(folder, Manifest("gallery", {}, {}, len(files)), lambda _: "", dict.fromkeys(files))
    record = partial(Record, "features.9", 0, "channel", 0, 0, score=1.0, steps=32, seconds=1.0, status="ok")
    started = time.perf_counter()
    store.add((record(file=file), image) for file, image in zip(files, images, strict=True))
    held_up = time.perf_counter() - started
    store.settle()
    seconds = time.perf_counter() - started
    return seconds, held_up, sum((folder / file).stat().st_size for file in files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    files = sorted(options.pictures.rglob("*.png"))
    read = [torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1) / 255 for file in files]
    images = (read * COUNT)[:COUNT]
    found: dict[str, list[tuple[float, float, int]]] = {"before": [], "now": []}
    for _ in range(options.repetitions):
        for way in (before, now):
            with tempfile.TemporaryDirectory() as folder:
                found[way.__name__].append(way(Path(folder), images))
    middle = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}
    for name, (seconds, held_up, size) in middle.items():
        print(f"{name:6} {seconds / COUNT * 1e3:6.2f} ms a picture, {held_up / COUNT * 1e3:6.2f} held up, ", end="")
        print(f"{size / COUNT / 1e3:.1f} kB")
    print(
        f"ratios before / now: {middle['before'][0] / middle['now'][0]:.2f} in all, "
        f"{middle['before'][1] / middle['now'][1]:.2f} held up, {middle['before'][2] / middle['now'][2]:.3f} in size"
    )


if __name__ == "__main__":
    main()
