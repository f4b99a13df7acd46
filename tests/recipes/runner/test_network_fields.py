"""The fields of a network: its input size, where it comes from, and that everything asks the network at one size."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from inverter import BadInput, Model
from inverter_errors import GuessedSizeWarning
from recipes import Atlas, ClassModel, Explain, Gallery, Invert, Patches
from recipes.cli.repeat import repeat
from recipes.outputs.manifest import describe, other_network

SIZED = """
import torch
from torch import nn

class Sized(nn.Module):
    '''Class 0 is first at 32 px, class 1 at any other size.'''
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
    def forward(self, x):
        bias = torch.tensor([9.0, 0.0] if x.shape[-1] == 32 else [0.0, 9.0])
        return self.conv(x).mean((2, 3)) * 0.01 + bias

def net():
    torch.manual_seed(0)
    return Sized()

def at_32():
    return net(), {"input_size": 32, "categories": ["thirty-two", "other"]}

def at_48():
    return net(), {"input_size": 48}
"""


@pytest.fixture
def place(here: Path) -> Path:
    (here / "nets.py").write_text(SIZED)
    (here / "names.txt").write_text("thirty-two\nother\n")
    (here / "photos").mkdir()
    for i, color in enumerate([(200, 90, 30), (10, 90, 130)]):
        Image.new("RGB", (40, 50), color).save(here / "photos" / f"{i}.png")
    return here


def manifest(folder: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(folder, "manifest.json").read_text())
    return data


QUICK: dict[str, Any] = {"class_": "0", "steps": 2, "tries": 1, "augment": "none"}


@pytest.mark.parametrize(
    ("options", "size", "origin", "first"),
    [
        ({"model": "nets.py:net", "size": 32}, 32, "pictures", 0),
        ({"model": "nets.py:net", "input_size": "32"}, 32, "network", 0),
        ({"model": "nets.py:at_32"}, 32, "network", 0),
        ({"model": "nets.py:at_32", "input_size": (40, 40)}, 40, "network", 1),
        ({"model": "nets.py:at_48", "size": 32}, 48, "network", 0),  # as the pictures were made
        ({"model": "nets.py:at_32", "size": 48}, 32, "network", 1),
    ],
)
def test_the_network_is_asked_at_the_size_its_pictures_were_made_at(
    place: Path, options: dict[str, Any], size: int, origin: str, first: int
) -> None:
    ClassModel(**QUICK, **options, out="o").run(None)
    data = manifest("o")
    assert (data["model"]["input_size"], data["model"]["input_size_from"]) == ([size, size], origin)
    (unit,) = data["units"]
    assert unit["metrics"]["network"][0]["index"] == first


def test_a_canvas_that_is_optimised_in_crops_is_judged_at_the_networks_size(place: Path) -> None:
    ClassModel(**QUICK, model="nets.py:at_32", prior="maco", size=64, out="o").run(None)
    assert manifest("o")["units"][0]["metrics"]["network"][0]["name"] == "thirty-two"


@pytest.mark.parametrize("size", [32, 40])
def test_explain_names_the_class_that_it_explains(place: Path, size: int) -> None:
    for model in ("nets.py:net", "nets.py:at_48"):
        out = f"{model[8:]}-{size}"
        Explain(model=model, size=size, image="photos", method="gradient-x-input", out=out).run(None)
        units = manifest(out)["units"]
        named = {unit["metrics"]["top5"][0]["index"] for unit in units if "top5" in unit["metrics"]}
        explained = {unit["channel"] for unit in units if unit["channel"] is not None}
        assert named == explained == {0 if size == 32 else 1}


def test_invert_names_the_classes_at_the_size_of_its_pictures(place: Path) -> None:
    Invert(model="nets.py:at_48", size=32, image="photos/0.png", layer="conv", prior="pixels", steps=2, out="o").run(
        None
    )
    assert [unit["metrics"]["top5"][0]["index"] for unit in manifest("o")["units"]] == [0, 0]


def test_the_judge_has_an_input_size_too(place: Path) -> None:
    common = QUICK | {"model": "nets.py:at_48"}
    for out, options, first in (
        ("own", {"judge": "nets.py:at_32"}, 0),
        ("said", {"judge": "nets.py:net", "judge_input_size": "32x32"}, 0),
        ("pictures", {"judge": "nets.py:net"}, 1),
        ("pictures-32", {"judge": "nets.py:net", "size": 32}, 0),
    ):
        ClassModel(**common, **options, out=out).run(None)
        assert manifest(out)["units"][0]["metrics"]["judge"][0]["index"] == first
    Invert(
        model="nets.py:at_48",
        image="photos/0.png",
        layer="conv",
        prior="pixels",
        steps=2,
        out="o",
        judge="nets.py:net",
        judge_input_size=32,
    ).run(None)
    assert [unit["metrics"]["judge_top5"][0]["index"] for unit in manifest("o")["units"]] == [0, 0]


def test_options_of_a_judge_need_one() -> None:
    for recipe, needs in ((ClassModel, {}), (Invert, {"image": "p.png"})):
        with pytest.raises(BadInput, match="judge_input_size is given but no judge"):
            recipe(judge_input_size=32, **needs)


def test_the_old_name_of_the_judges_size_still_works(place: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    flags = "--model nets.py:at_48 --judge nets.py:net --judge-size 32 --class 0 --steps 2 --tries 1 --out o"
    code, _, err = command("classes", *flags.split())
    assert code == 0
    assert "--judge-size is now --judge-input-size" in err
    assert manifest("o")["settings"]["judge_input_size"] == [32, 32]


def test_categories_from_a_file_name_the_classes(place: Path) -> None:
    options = QUICK | {"class_": "thirty-two"}
    ClassModel(**options, model="nets.py:net", input_size=32, categories="names.txt", out="o").run(None)
    assert manifest("o")["units"][0]["name"] == "thirty-two"
    assert [each.same for each in repeat("o", "output/0")] == [True]


def test_a_guess_is_reported_once_and_recorded(place: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    _, _, err = command("gallery", "--model", "nets.py:net", "--layer", "conv", "--channels", "0", "--steps", "2")
    assert err.count("the input size of nets.py:net is not known: using 224x224; set input_size") == 1
    assert manifest("gallery")["model"]["input_size_from"] == "guess"


def test_the_icons_of_an_atlas_say_nothing_of_the_network(place: Path) -> None:
    with pytest.warns(GuessedSizeWarning):
        assert Atlas(model="nets.py:net", layer="conv", images="photos").load().size_for() == (224, 224)
    assert Atlas(model="nets.py:net", layer="conv", images="photos", input_size=40).load().size_for() == (40, 40)


def test_patches_are_read_at_the_networks_size(place: Path) -> None:
    Patches(model="nets.py:net", layer="conv", images="photos", input_size="32x24", channels="0", out="o").run(None)
    data = manifest("o")
    assert data["model"]["input_size"] == data["settings"]["input_size"] == [32, 24]


def test_layers_takes_an_input_size(place: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    for flags in ("--input-size 20x30", "--size 20"):
        code, out, err = command("layers", "--model", "nets.py:net", *flags.split())
        assert (code, err) == (0, "")
        assert "20x30" in out or "20x20" in out
    code, _, err = command("layers", "--model", "nets.py:net", "--input-size", "big")
    assert code == 2
    assert "input_size must be" in err


def test_a_run_continues_with_another_writing_of_the_size_and_not_with_another_size(place: Path) -> None:
    common = {"model": "nets.py:net", "layer": "conv", "channels": "0", "steps": 2, "out": "o"}
    Gallery(**common, input_size="32").run(None)
    assert Gallery(**common, input_size=(32, 32)).run(None).made == 0
    with pytest.raises(BadInput, match="input_size is"):
        Gallery(**common, input_size=40).run(None)


def test_a_network_that_was_trained_on_does_not_continue_the_run_of_the_former(place: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    model = Model(net, input_size=(16, 16))
    for given in (net, model):
        recipe = Gallery(model=given, layer="0", channels="0", size=16, steps=2, out=str(type(given).__name__))
        recipe.run(None)
        assert recipe.run(None).made == 0
        net[0].weight.data.add_(0.1)
        with pytest.raises(BadInput, match="the model has other weights"):
            recipe.run(None)


def test_another_preprocessing_is_another_network() -> None:
    net = nn.Conv2d(3, 2, 1)
    one = describe(Model(net, input_size=(16, 16)))
    assert other_network(one, describe(Model(net, input_size=(16, 16)))) is None
    assert "input size is [8, 8], not [16, 16]" in str(other_network(one, describe(Model(net, input_size=(8, 8)))))
    assert "mean is" in str(other_network(one, describe(Model(net, input_size=(16, 16), normalize="half"))))
    with torch.no_grad():
        net.weight.add_(1)
    assert other_network(one, describe(Model(net, input_size=(16, 16)))) == "the model has other weights"
