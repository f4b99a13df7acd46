"""A run may grow in its folder, whatever the recipe: what is there stays, the rest is made, and all of it repeats."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inverter_errors import BadInput
from recipes import Explain, Patches
from recipes.cli.entry import main
from recipes.cli.repeat import repeat

NET = """
import torch
from torch import nn
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten())
"""
COMMON = "--model nets.py:net --input-size 24 --device cpu --batch-size 3 --out OUT"

GROWN = {
    "more pictures and methods": (
        "explain --target logit:1 --image photos/0.png --method saliency",
        "explain --target logit:1 --image photos --method saliency --method grad-cam",
    ),
    "more targets and layers": (
        "explain --target logit:1 --image photos --method grad-cam --layer 1",
        "explain --target logit:2 --target logit:1 --image photos --method grad-cam --layer 1 --layer 3",
    ),
    "more pictures, layers and priors": (
        "invert --steps 2 --image photos/0.png --image photos/1.png --layer 0 --prior pixels",
        "invert --steps 2 --image photos --layer 0 --layer 2 --prior pixels --prior fourier",
    ),
    "more pictures with masks": (
        "inpaint --steps 2 --image photos/0.png --mask masks/0.png",
        "inpaint --steps 2 --image photos/0.png --image photos/1.png --mask masks/0.png --mask masks/1.png",
    ),
    "more pictures to judge": (
        "judge-maps --points 2 --squares 2 --depths 1 --image photos/0.png --method saliency",
        "judge-maps --points 2 --squares 2 --depths 1 --image photos --method saliency --method grad-cam",
    ),
    "more positions": (
        "dictionary --steps 2 --icon 12 --image photos/0.png --layer 3 --positions 1,1",
        "dictionary --steps 2 --icon 12 --image photos/0.png --layer 3 --layer 1 --positions 1,1 --positions 2,3",
    ),
    "more layers": (
        "grid --size 8 --steps 2 --icon 12 --image photos/0.png --layer 3",
        "grid --size 8 --steps 2 --icon 12 --image photos/0.png --layer 1 --layer 3",
    ),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NET)
    for folder in ("photos", "masks", "others"):
        (tmp_path / folder).mkdir()
    for index in range(4):
        draw = np.random.default_rng(index)
        for folder in ("photos", "others"):
            Image.fromarray(np.uint8(draw.integers(0, 255, (24, 24, 3)))).save(tmp_path / folder / f"{index}.png")
        Image.fromarray(np.uint8(255 * (draw.random((24, 24)) < 0.7))).save(tmp_path / "masks" / f"{index}.png")
    return tmp_path


def start(command: str) -> int:
    common = COMMON.partition("24 ")[2] if command.startswith("inpaint") else COMMON
    return main([*command.split(), *common.split()])


def units(folder: Path, out: str = "OUT") -> dict[str, dict]:
    return {unit["file"]: unit for unit in json.loads((folder / out / "manifest.json").read_text())["units"]}


def files_of(unit: dict) -> list[str]:
    return [unit["file"], *unit.get("extra_files", {}).values()]


def alone(unit: dict) -> dict:
    """A unit without the metrics that compare it with the other units of its run."""
    shared = {"path", "path_departs", "two_patches", "fails"}
    return unit | {"metrics": {key: value for key, value in unit.get("metrics", {}).items() if key not in shared}}


@pytest.mark.parametrize(("before", "after"), GROWN.values(), ids=GROWN.keys())
def test_what_is_finished_stays_and_everything_repeats(here: Path, before: str, after: str) -> None:
    assert start(before) == 0
    old = units(here)
    kept = {file: (here / "OUT" / file).read_bytes() for unit in old.values() for file in files_of(unit)}
    assert start(after) == 0
    new = units(here)
    assert len(new) > len(old)
    assert {file: alone(new[file]) for file in old} == {file: alone(unit) for file, unit in old.items()}
    assert {file: (here / "OUT" / file).read_bytes() for file in kept} == kept
    assert all((here / "OUT" / file).is_file() for unit in new.values() for file in files_of(unit))
    added = [file for file in new if file not in old]
    for file in ([*old][-1], added[-1]):
        assert [each.same for each in repeat("OUT", file)] == [True], file
    assert (here / "OUT/index.html").is_file()
    assert start(before) == 2  # a run does not shrink


def test_a_file_is_never_taken_for_the_picture_of_another(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = "explain --target logit:1 --method saliency --image photos/0.png"
    assert start(before) == 0
    assert start(f"{before} --image others/0.png") == 0
    assert "originals/0-2.png" in units(here)
    assert start("explain --target logit:1 --method saliency --image others/0.png --image photos/0.png") == 2
    assert "is made from photos/0.png, not from others/0.png" in capsys.readouterr().err
    before = "inpaint --steps 1 --fresh --image photos/0.png --image photos/1.png --mask masks/0.png"
    assert start(before) == 0
    assert start(f"{before.replace('--fresh ', '')} --mask masks/1.png") == 2
    assert "with the mask masks/0.png, not from photos/1.png with the mask masks/1.png" in capsys.readouterr().err


def test_other_settings_still_may_not_change(here: Path) -> None:
    known = {"model": "nets.py:net", "input_size": 24, "target": "logit:1", "method": "smoothgrad:samples=2"}
    Explain(**known, image="photos/0.png", out="OUT").run(None)
    with pytest.raises(BadInput, match="seed is 0, not 1"):
        Explain(**known, image="photos", seed=1, out="OUT").run(None)


def test_patches_of_more_channels_and_layers(here: Path) -> None:
    def patches(out: str, **options: object) -> Patches:
        return Patches(model="nets.py:net", input_size=24, images="photos", out=out, count=2, **options)

    patches("OUT", layer="1", channels="0-1").run(None)
    old = units(here)
    times = {file: (here / "OUT" / file).stat().st_mtime_ns for file in old}
    array = here / "OUT/activations/1/values.npy"
    arrays = {path: path.read_bytes() for path in array.parent.iterdir()}
    report = patches("OUT", layer=["1", "3"], channels="0-3").run(None)
    assert report.made == 6
    assert {file: (here / "OUT" / file).stat().st_mtime_ns for file in old} == times
    assert {path: path.read_bytes() for path in array.parent.iterdir()} == arrays
    once = patches("ONCE", layer=["1", "3"], channels="0-3").run(None)
    assert units(here) == units(here, "ONCE")
    assert report.manifest.table == once.manifest.table
    with pytest.raises(BadInput, match="a run may grow, but this leaves out"):
        patches("OUT", layer="3", channels="0-3").run(None)
