"""On a simulated GPU: every recipe writes the same files as on the CPU, and does not mix devices."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import recipes.atlas.layout
from inverter import Model, Settings, optimize
from objectives import Activations, Objective, layer
from priors import Fourier
from recipes import Atlas
from recipes.activations.collect import collect
from recipes.activations.predictions import top_classes
from recipes.activations.reducers import Extremes, Positions, Reducer
from recipes.atlas.labels.class_effects import attributions
from recipes.cli.entry import main
from recipes.deepdream.octaves import dream
from recipes.runner.out_of_memory import optimize_in_halves
from tests.pretended import PretendedDevice
from tests.pretended_graphs import RecordedGraph

pytestmark = pytest.mark.usefixtures("float32_alone")

NET = ("--model", "nets.py:net")
QUICK = ("--steps", "5", "--batch-size", "8")
SMALL = ("--size", "24")
PHOTO = ("--image", "photos/a.png")

COMMANDS: dict[str, tuple[str, ...]] = {
    "gallery": ("gallery", *NET, *SMALL, *QUICK, "--layer", "wide", "--channels", "0-2", "--negative"),
    "attempts": ("gallery", *NET, *SMALL, *QUICK, "--layer", "wide", "--channels", "0", "--attempts", "2"),
    "neurons with photos": (
        *("gallery", *NET, *SMALL, *QUICK, "--layer", "wide", "--channels", "0,1", "--objective", "neuron"),
        *("--images", "photos"),
    ),
    "classes in a canvas": (*("gallery", *NET, *QUICK, "--objective", "softmax", "--size", "48", "--prior", "maco"),),
    "classes": ("classes", *NET, *SMALL, *QUICK, "--class", "0,1", "--tries", "2"),
    "dream": ("dream", *NET, *PHOTO, "--layer", "wide", "--steps", "2", "--octaves", "2"),
    "guided dream": (
        *("dream", *NET, *PHOTO, "--layer", "wide", "--steps", "2", "--octaves", "1"),
        *("--guide", "photos/b.png"),
    ),
    "invert": ("invert", *NET, *SMALL, "--steps", "15", *PHOTO, "--layer", "wide"),
    "inpaint": ("inpaint", *QUICK, *PHOTO, "--mask", "mask.png"),
    "patches": ("patches", *NET, *SMALL, "--images", "photos", "--layer", "wide", "--channels", "0-2"),
    "dictionary": ("dictionary", *NET, *SMALL, *QUICK, *PHOTO, "--layer", "wide", "--position", "1,1"),
    "grid": ("grid", *NET, *SMALL, *QUICK, *PHOTO, "--layer", "wide"),
    "explain": ("explain", *NET, *SMALL, "--image", "photos", "--target", "logit:2"),
    "judge-maps": (
        *("judge-maps", *NET, *SMALL, *PHOTO, "--method", "grad-cam", "--points", "4", "--depths", "2"),
        *("--squares", "8", "--tolerance", "0"),
    ),
}


def pictures_in(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    return {
        path.relative_to(folder).as_posix(): np.asarray(Image.open(path), dtype=int)
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".png", ".jpg") and path.name != "sheet.png"  # it writes scores, to the last digit
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_recipe_writes_the_same_pictures(here: Path, photos: Path, name: str) -> None:
    mask = Image.new("L", (20, 16), 255)
    mask.paste(0, (4, 4, 10, 8))
    mask.save("mask.png")
    nets = here / "nets.py"
    nets.write_text(nets.read_text().replace("nn.Conv2d(3, 4, 5)", "nn.Conv2d(3, 4, 5, 2)"))  # few positions
    assert main([*COMMANDS[name], "--device", "cpu", "--out", "cpu"]) == 0
    with PretendedDevice() as gpu:
        assert main([*COMMANDS[name], "--device", "cuda", "--out", "gpu"]) == 0
    assert gpu.copies.total() > 0
    expected, found = pictures_in(here / "cpu"), pictures_in(here / "gpu")
    assert list(found) == list(expected) != []
    for file, picture in found.items():
        assert np.abs(picture - expected[file]).max() <= 8, file
    manifests = [json.loads(path.read_text()) for path in (here / "gpu").rglob("manifest.json")]
    loops = {unit.get("loop") for manifest in manifests for unit in manifest["units"]} - {None}
    assert loops == ({"graph"} if "--steps" in COMMANDS[name] and COMMANDS[name][0] != "dream" else set())


def test_batches_of_a_run_use_one_recording(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[RecordedGraph] = []
    begin = RecordedGraph.__init__
    monkeypatch.setattr(RecordedGraph, "__init__", lambda self: (begin(self), made.append(self))[0])
    options = ("--layer", "wide", "--channels", "0-4", "--steps", "8", "--batch-size", "2", "--device", "cuda")
    with PretendedDevice():
        assert main(["gallery", *NET, *SMALL, *options, "--out", "out"]) == 0
    # One for all three batches, and perhaps one of the steps that redirect gradients; the last batch is filled up.
    assert len(made) <= 2
    assert sum(graph.replays for graph in made) > 8


class Noise:
    """A dataset of 9 pictures, (3, 16, 16)."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> Tensor:
        return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(index))


@pytest.mark.parametrize("keep", [Extremes(), Positions("all"), Positions(3)])
def test_what_is_collected_is_the_same(insects: Model, tmp_path: Path, keep: Reducer) -> None:
    here = collect(insects, Noise(), ["stem", "body"], keep, out=tmp_path / "cpu", batch=4)
    with PretendedDevice() as gpu:
        there = collect(insects.on("cuda"), Noise(), ["stem", "body"], keep, out=tmp_path / "gpu", batch=4)
    assert gpu.copies.total() > 0
    for address in ("stem", "body"):
        for name in keep.arrays(address, here.shapes[address]):
            np.testing.assert_allclose(there.array(address, name), here.array(address, name), rtol=1e-3, atol=1e-5)


def test_an_atlas_is_the_same(insects: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes.atlas.layout, "lay_out", lambda vectors, *_, **__: np.asarray(vectors[:, :2], float))
    options = {"images": Noise(), "layer": "stem", "grid": "2", "steps": 2, "icon": 12}
    Atlas(model=insects, out=str(tmp_path / "cpu"), batch_size=8, device="cpu", **options).run()
    with PretendedDevice() as gpu:
        Atlas(model=insects, out=str(tmp_path / "gpu"), batch_size=8, device="cuda", **options).run()
    assert gpu.copies.total() > 0
    expected, found = pictures_in(tmp_path / "cpu"), pictures_in(tmp_path / "gpu")
    assert list(found) == list(expected) != []
    for file, picture in found.items():
        assert np.abs(picture - expected[file]).max() <= 8, file


def test_predictions_and_attributions_are_the_same(insects: Model) -> None:
    images = torch.stack([Noise()[index] for index in range(3)])
    here, shares = top_classes(insects, images), attributions(insects, "body", images, 2)
    with PretendedDevice():
        moved = insects.on("cuda")
        there, shares_there = top_classes(moved, images), attributions(moved, "body", images, 2)
    assert [[guess.index for guess in row] for row in there] == [[guess.index for guess in row] for row in here]
    torch.testing.assert_close(shares_there, shares)


def test_a_dream_synchronises_once_per_octave(insects: Model) -> None:
    def waits(steps: int) -> int:
        with PretendedDevice() as gpu:
            dream(insects.on("cuda"), Noise()[0][None], [(layer("body"), 1.0)], octaves=1, steps=steps, tile=32)
        return gpu.waits.total()

    assert waits(7) == waits(2) > 0


def test_memory_that_runs_out_there_halves_the_batch(insects: Model) -> None:
    def score(activations: Activations) -> Tensor:
        if len(activations.image) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return activations["body"].mean((1, 2, 3))

    objective = Objective("heavy", ("body",), score, tuple("abcd"))
    settings = Settings(steps=2)
    with PretendedDevice(), pytest.warns(UserWarning, match="going on with 2"):
        there = optimize_in_halves(insects.on("cuda"), objective, Fourier(4, 16), settings)
    here = optimize(insects, objective, Fourier(4, 16), replace(settings, batch_size=2))
    torch.testing.assert_close(there.images, here.images, rtol=0, atol=2e-3)
