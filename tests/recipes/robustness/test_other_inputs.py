"""Inputs that are no photographs: every recipe and prior with eight channels, other values, and sides that differ."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from priors.registry import PRIORS
from recipes.cli import main

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(8, 6, (3, 7), padding=(1, 3))
        self.relu = nn.ReLU()
        self.deep = nn.Conv2d(6, 5, 3, stride=8, padding=1)
        self.note, self.onset = nn.Conv2d(5, 3, 1), nn.Conv2d(6, 2, 1)
    def forward(self, x):
        stem = self.relu(self.stem(x))
        return {"note": self.note(self.relu(self.deep(stem))), "onset": self.onset(stem)}

def net():
    torch.manual_seed(0)
    return Net(), {"input_size": (24, 40), "value_range": (-2, 6)}
"""
SIZE, LOW, HIGH = (24, 40), -2, 6
RECIPES: dict[str, list[str]] = {
    "gallery": ["--layer", "output:note", "--channels", "0-1", "--images", "ARRAYS"],
    "classes": ["--output", "onset", "--class", "1"],
    "invert": ["--image", "ARRAYS", "--layer", "stem"],
    "patches": ["--images", "ARRAYS", "--layer", "deep", "--layer", "output:onset"],
    "explain": ["--image", "ARRAYS", "--target", "output:onset", "--method", "grad-cam", "--method", "lime:samples=8"],
    "judge-maps": ["--image", "ARRAYS/a.npy", "--target", "logit:output:note:1", "--method", "saliency"],
    "dictionary": ["--image", "ARRAYS/a.npy", "--layer", "deep", "--icon", "16", "--positions", "1,2", "--count", "1"],
    "grid": ["--image", "ARRAYS/a.npy", "--layer", "deep", "--icon", "16"],
    "atlas": [
        *("--images", "ARRAYS", "--layer", "deep", "--icon", "16", "--grid", "2", "--min-members", "1"),
        *("--positions", "all", "--layout", "tsne", "--neighbors", "6"),
    ],
    "inpaint": ["--image", "ARRAYS/a.npy", "--missing", ".3", "--value-range", "-2,6"],
}
UNOPTIMISED = ("patches", "explain", "judge-maps")
ONE_TILE = ("dictionary", "grid", "atlas")
WITHOUT_NETWORK = ("inpaint",)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("spectrograms")
    (place / "net.py").write_text(NET)
    (place / "arrays").mkdir()
    random = np.random.default_rng(0)
    for name in "abc":
        values = random.uniform(LOW, HIGH, (8, *SIZE)).astype(np.float32)
        values[0, 0, :2] = LOW, HIGH
        np.save(place / "arrays" / f"{name}.npy", values)
    return place


def command(recipe: str, place: Path, *more: str) -> list[str]:
    own = [flag.replace("ARRAYS", str(place / "arrays")) for flag in RECIPES.get(recipe, more)]
    network = [] if recipe in WITHOUT_NETWORK else ["--model", f"{place}/net.py:net"]
    return [recipe, *network, *own, *([] if recipe in UNOPTIMISED else ["--steps", "2"])]


def pictures(out: Path) -> dict[Path, tuple[int, int]]:
    """The (width, height) of each picture with an array, or without one."""
    found = {}
    for file in sorted(out.rglob("*.png")):
        with Image.open(file) as picture:
            found[file.relative_to(out)] = picture.size
    return found


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_takes_spectrograms(recipe: str, place: Path, tmp_path: Path) -> None:
    assert main([*command(recipe, place), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "index.html").is_file()
    units = json.loads((tmp_path / "manifest.json").read_text())["units"]
    assert units
    for unit in units:
        if (array := unit.get("extra_files", {}).get("channels")) is None:
            assert recipe in UNOPTIMISED
            continue
        values = np.load(tmp_path / array)
        icon = recipe in ONE_TILE and unit["objective"] != "original"
        height, width = (16, 16) if icon else SIZE
        assert values.shape == (8, height, width)
        assert values.min() >= LOW
        assert values.max() <= HIGH
        size = (width, height) if recipe in ONE_TILE else (4 * width + 3, 2 * height + 1)
        with Image.open(tmp_path / unit["file"]) as picture:
            assert (picture.mode, picture.size) == ("L", size)


@pytest.mark.parametrize("recipe", ["gallery", "invert", "explain", "judge-maps", "grid", "inpaint"])
def test_three_chosen_channels_are_colours(recipe: str, place: Path, tmp_path: Path) -> None:
    assert main([*command(recipe, place), "--show-channels", "5,3,1", "--out", str(tmp_path)]) == 0
    for unit in json.loads((tmp_path / "manifest.json").read_text())["units"]:
        with Image.open(tmp_path / unit["file"]) as picture:
            assert picture.mode == "RGB"
            assert picture.size in ((SIZE[1], SIZE[0]), (16, 16))
            shown = np.asarray(picture) / 255
        if (array := unit.get("extra_files", {}).get("channels")) is not None:
            values = (np.load(tmp_path / array) - LOW) / (HIGH - LOW)
            assert np.abs(values[[5, 3, 1]].transpose(1, 2, 0) - shown).max() < 0.501 / 255


def test_a_finished_array_is_an_input(place: Path, tmp_path: Path) -> None:
    assert main([*command("gallery", place, "--layer", "stem"), "--channels", "0", "--out", str(tmp_path / "g")]) == 0
    (array,) = (tmp_path / "g" / "images").rglob("*.npy")
    again = ["invert", "--model", f"{place}/net.py:net", "--image", str(array), "--layer", "stem", "--steps", "2"]
    assert main([*again, "--out", str(tmp_path / "i")]) == 0
    read = np.load(next((tmp_path / "i" / "originals").glob("*.npy")))
    assert np.abs(read - np.load(array)).max() < 1e-5


OPTIONS: dict[str, Callable[[Path], str]] = {
    "accentuate": lambda place: f"accentuate:image={place}/arrays/a.npy",
    "deep-image": lambda _place: "deep-image:channels=[8]",
}


@pytest.mark.filterwarnings("ignore:.*the bundled generator makes grey")
@pytest.mark.parametrize("prior", sorted(set(PRIORS) - {"decoder"}))  # which draws colours alone
def test_every_prior_makes_spectrograms(prior: str, place: Path, tmp_path: Path) -> None:
    text = OPTIONS.get(prior, lambda _place: prior)(place)
    flags = ["--layer", "deep", "--channels", "0", "--prior", text]
    assert main(["gallery", "--model", f"{place}/net.py:net", *flags, "--steps", "2", "--out", str(tmp_path)]) == 0
    (array,) = (tmp_path / "images").rglob("*.npy")
    values = np.load(array)
    assert values.shape == (8, *SIZE)
    assert LOW <= values.min() < values.max() <= HIGH


@pytest.mark.filterwarnings("default:.*the bundled generator makes grey")
def test_a_generator_of_natural_pictures_says_what_it_cannot(place: Path, tmp_path: Path, capsys) -> None:
    flags = ["--layer", "deep", "--channels", "0", "--prior", "gan", "--steps", "1", "--out", str(tmp_path)]
    assert main(["gallery", "--model", f"{place}/net.py:net", *flags]) == 0
    assert "the bundled generator makes grey pictures, the same in each of 8 channels" in capsys.readouterr().err


def test_a_dream_keeps_its_array_and_never_replaces_its_photo(place: Path, tmp_path: Path) -> None:
    network, photo = ["--model", f"{place}/net.py:net", "--layer", "stem"], place / "arrays" / "a.npy"
    flags = ["--image", str(photo), "--octaves", "1", "--steps", "1", "--show-channels", "0"]
    assert main(["dream", *network, *flags, "--out", str(tmp_path / "dream.png")]) == 0
    assert np.load(tmp_path / "dream.npy").shape == (8, *SIZE)
    assert pictures(tmp_path) == {Path("dream.png"): (SIZE[1], SIZE[0])}
    assert main(["dream", *network, *flags, "--out", str(place / "arrays" / "a.png")]) == 2
    assert not (place / "arrays" / "a.png").exists()


def test_a_map_of_very_many_positions_is_pooled(place: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("recipes.photo.icons.MANY_POSITIONS", 900)
    photo = ["--image", str(place / "arrays" / "a.npy"), "--layer", "stem", "--icon", "8", "--steps", "1"]
    network = ["--model", f"{place}/net.py:net", "--out", str(tmp_path / "grid")]
    assert main(["grid", *network, *photo]) == 2
    assert "24x40 positions, which makes 9" in (line := capsys.readouterr().err)
    assert "set pool to N or HxW" in line
    assert main(["grid", *network, *photo, "--pool", "8x10"]) == 0
    manifest = json.loads((tmp_path / "grid" / "manifest.json").read_text())
    cells = [unit["metrics"] for unit in manifest["units"] if unit["objective"] == "direction"]
    assert [cell["map_size"] for cell in cells] == [[3, 4]] * 12
    assert [cell["position"] for cell in cells] == [[y, x] for y in range(3) for x in range(4)]
    with Image.open(tmp_path / "grid" / "grids" / "stem.png") as picture:
        assert picture.size == (4 * 8, 3 * 8)


def test_pictures_of_another_size(place: Path, tmp_path: Path) -> None:
    flags = ["--layer", "stem", "--channels", "0", "--size", "16x32", "--steps", "2", "--show-channels", "0"]
    assert main(["gallery", "--model", f"{place}/net.py:net", *flags, "--out", str(tmp_path)]) == 0
    assert pictures(tmp_path / "images") == {Path("stem/0000.png"): (32, 16)}
    assert json.loads((tmp_path / "manifest.json").read_text())["settings"]["size"] == [16, 32]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--value-range", "-1,1"], "expected values in [-1, 1], got some from -2 to 6: set value_range low,high"),
        (["--show-channels", "2,8"], "show_channels 8 is out of range"),
        (["--size", "24by40"], "size must be a positive integer, or HxW such as 172x264; got '24by40'"),
    ],
)
def test_a_mistake_is_one_line(flags: list[str], said: str, place: Path, tmp_path: Path, capsys) -> None:
    assert main([*command("invert", place), *flags, "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_layers_say_what_goes_in_and_what_comes_out(place: Path, capsys) -> None:
    assert main(["layers", "--model", f"{place}/net.py:net"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "input: 8 channels, 24x40, values -2 to 6" in lines
    assert "outputs: output:note 3x3x5, output:onset 2x24x40" in lines
    assert any(line.split()[0] == "stem" and "3x7" in line.split() for line in lines)
