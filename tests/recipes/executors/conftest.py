"""A network that kills its process on request, and the output of a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recipes import Gallery
from recipes.executors.progress import RunProgress

NETWORK = '''
import os, signal
from pathlib import Path

import torch
from torch import nn

DIE = Path(__file__).with_name("die")


class Mortal(nn.Module):
    """Kills its process once each time the file `die` is created."""

    def forward(self, x):
        try:
            DIE.unlink()
        except FileNotFoundError:
            return x
        os.kill(os.getpid(), signal.SIGKILL)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(Mortal(), nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3)).eval()
'''


class KillableGallery:
    """A gallery with dataset examples, of a network that can kill its process.

    Attributes:
        folder: of the network and the pictures.
        deaths: the number of kills so far.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.deaths = folder, 0
        (folder / "net.py").write_text(NETWORK)
        (folder / "photos").mkdir()
        draw = np.random.default_rng(0)
        for index in range(70):
            picture = Image.fromarray(draw.integers(0, 255, (16, 16, 3)).astype("uint8"))
            picture.save(folder / "photos" / f"{index:02d}.png")

    def recipe(self, out: str, **options: Any) -> Gallery:
        known: dict[str, Any] = {"layer": "3", "size": 16, "steps": 4, "batch_size": 2, "device": "cpu", "threads": 1}
        known["images"] = str(self.folder / "photos")
        return Gallery(
            model=f"{self.folder}/net.py:network",
            out=str(self.folder / out),
            **(known | options),
        )

    def kill_one(self, update: RunProgress) -> None:
        """Progress callback that kills one worker as soon as the first pictures are finished."""
        if update.noun is None and update.done >= 2 and not self.deaths:
            self.deaths += 1
            (self.folder / "die").touch()

    def contents(self, out: str) -> dict[str, bytes]:
        """The complete output of a run, except for times."""
        place = self.folder / out
        found = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        manifest = json.loads(found.pop("manifest.json"))
        found.pop("index.html")
        for unit in manifest["units"]:
            unit.pop("seconds")
        return found | {"records": json.dumps(manifest["units"]).encode()}


@pytest.fixture
def killable_gallery(tmp_path: Path) -> KillableGallery:
    return KillableGallery(tmp_path)


@pytest.fixture
def killed(killable_gallery: KillableGallery) -> Callable[..., dict[str, bytes]]:
    """Runs the gallery in workers, one of which is killed: the output is that of a run in this process."""

    def run(where: dict[str, Any], **options: Any) -> dict[str, bytes]:
        killable_gallery.recipe("here", **options).run()
        report = killable_gallery.recipe("there", **where, **options).run(killable_gallery.kill_one)
        assert (killable_gallery.deaths, report.made) == (1, 12)
        assert not (killable_gallery.folder / "die").exists()  # a worker was killed
        there = killable_gallery.contents("there")
        assert there == killable_gallery.contents("here")
        return there

    return run
