"""Small runs of a gallery, for tests of how runs behave, and what they leave behind."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from inverter import load_model
from recipes import Gallery
from recipes.executors.progress import RunProgress, RunProgressCallback


def gallery(net: nn.Module, out: Path, **options: object) -> Gallery:
    known = {"layer": "body", "channels": "0-5", "steps": 4, "batch_size": 2, "precision": "float32"}
    return Gallery(model=load_model(net, input_size=12), out=str(out), **(known | options))  # type: ignore[arg-type]


def pictures(out: Path) -> dict[str, np.ndarray]:
    found = {}
    for path in sorted((out / "images").rglob("*.png")):
        with Image.open(path) as picture:
            found[path.relative_to(out).as_posix()] = np.asarray(picture).astype(int)
    return found


def contents(out: Path) -> dict[str, bytes]:
    """The pictures' files, and all records without their seconds."""
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted((out / "images").rglob("*.png"))}
    units = json.loads((out / "manifest.json").read_text())["units"]
    return found | {"records": json.dumps([{k: v for k, v in u.items() if k != "seconds"} for u in units]).encode()}


def alike(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Whether pictures are equal up to one step of 8 bits: batches of another size sum in another order."""
    return a.keys() == b.keys() and all(abs(a[name] - b[name]).max() <= 1 for name in a)


class Stop(KeyboardInterrupt):
    pass


def stop_after(units: float) -> RunProgressCallback:
    def progress(update: RunProgress) -> None:
        if update.done >= units:
            raise Stop

    return progress
