"""Networks of other than three channels: grey pictures, strips, and really trained networks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recipes import ClassModel, Gallery
from recipes.cli import main

NET = """
from torch import nn
def grey():
    layers = nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    return nn.Sequential(*layers)
def four():
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU())
"""


def flags(place: Path, name: str, channels: int) -> list[str]:
    (place / "net.py").write_text(NET)
    half = ",".join([".5"] * channels)
    return ["--model", f"{place}/net.py:{name}", "--normalize", f"{half}/{half}", "--size", "32", "--steps", "2"]


@pytest.mark.parametrize("more", [[], ["--augment", "wide"], ["--prior", "maco"], ["--prior", "pixels"]])
def test_a_grey_network_gives_grey_pictures(tmp_path: Path, more: list[str]) -> None:
    out = tmp_path / "out"
    command = ["gallery", *flags(tmp_path, "grey", 1), "--layer", "0", "--channels", "0-1", *more, "--out", str(out)]
    assert main(command) == 0
    for file in out.glob("images/**/*.png"):
        with Image.open(file) as picture:
            assert (picture.mode, picture.size) == ("L", (32, 32))


def test_classes_of_a_grey_network(tmp_path: Path) -> None:
    assert main(["classes", *flags(tmp_path, "grey", 1), "--class", "0", "--out", str(tmp_path / "out")]) == 0


def test_a_network_of_four_channels_gives_strips_and_arrays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["gallery", *flags(tmp_path, "four", 4), "--layer", "0", "--channels", "0", "--out", str(out)]
    assert main(command) == 0
    (file,) = out.glob("images/**/*.png")
    with Image.open(file) as picture:
        assert (picture.mode, picture.size) == ("L", (4 * 32 + 3, 32))
    assert np.load(file.with_suffix(".npy")).shape == (4, 32, 32)


def test_a_grey_photo_is_dreamt_in_grey_with_its_manifest(tmp_path: Path) -> None:
    Image.new("RGB", (48, 40), "orange").save(tmp_path / "photo.png")
    own = [flag for flag in flags(tmp_path, "grey", 1) if flag not in ("--size", "32")]
    command = ["dream", *own, "--image", str(tmp_path / "photo.png"), "--layer", "0", "--octaves", "1"]
    assert main([*command, "--out", str(tmp_path / "dream.png")]) == 0
    with Image.open(tmp_path / "dream.png") as picture:
        assert picture.mode == "L"
        assert picture.text["recipe"] == "dream"
    assert (tmp_path / "dream.json").is_file()


def test_a_trained_network_of_digits_knows_its_pictures(tmp_path: Path, shared_data: Path) -> None:
    from inverter import load_model
    from tests.shared_networks import mnist_lenet5

    model = load_model(mnist_lenet5(), shared_data / "weights" / "mnist_lenet5.safetensors", "0/1", "cpu", 32)
    report = ClassModel(model=model, out=str(tmp_path)).run(None)
    assert "10 of 10 first" in str(report.closing)


def test_a_trained_network_of_eight_channels(tmp_path: Path, shared_data: Path) -> None:
    from inverter import load_model
    from tests.shared_networks import basic_pitch

    mean, std = ",".join([".36"] * 8), ",".join([".4"] * 8)
    weights = shared_data / "weights" / "basic_pitch.safetensors"
    model = load_model(basic_pitch(), weights, f"{mean}/{std}", "cpu", 64)
    report = Gallery(model=model, layer="contour1", channels="0-1", steps=16, out=str(tmp_path)).run(None)
    assert all((record.score or 0) > 0 for record in report.records)
    assert np.load(tmp_path / "images/contour1/0000.npy").shape == (8, 64, 64)
