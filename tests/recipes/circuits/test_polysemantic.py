"""The recipe of polysemantic units: a unit that was built of two things is split into them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inverter import Directions

Command = Callable[..., tuple[int, str, str]]
NETS = """
import torch
from torch import nn
def mixed():
    "Channels of `colours` are red, green and blue; unit 0 of `units` is red or green, unit 1 is blue, 2 never active."
    colours, units = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        colours.weight[:, :, 0, 0] = torch.eye(3) - 0.5 * (1 - torch.eye(3))
        units.weight[:, :, 0, 0] = torch.tensor([[1.0, 1, 0], [0, 0, 1], [0, 0, 0]])
        units.bias[:] = torch.tensor([0.0, 0, -1])
    block = lambda conv: nn.Sequential(conv, nn.ReLU())
    net = nn.Sequential()
    net.add_module("colours", block(colours))
    net.add_module("units", block(units))
    return net, {"input_size": 12, "normalize": "none"}
"""
RUN = ("polysemantic", "--model", "mixed.py:mixed", "--device", "cpu", "--layer", "units", "--out", "OUT")
SMALL = ("--patches", "8", "--others", "3", "--groups", "3", "--steps", "8", "--images", "squares")


@pytest.fixture(autouse=True)
def _network(here: Path) -> None:
    (here / "mixed.py").write_text(NETS)
    (here / "squares").mkdir()
    for index in range(12):
        pixels = np.random.default_rng(index).integers(0, 60, (12, 12, 3), dtype=np.uint8)
        pixels[2:6, 2:6, index % 3] = 200 + 4 * index  # a red, green or blue square
        Image.fromarray(pixels).save(here / f"squares/{index:02d}.png")


def units() -> dict[str, dict[str, Any]]:
    return {unit["file"]: unit for unit in json.loads(Path("OUT/manifest.json").read_text())["units"]}


def test_a_mixed_unit_is_split_into_what_it_is_made_of(command: Command) -> None:
    code, out, err = command(*RUN, *SMALL, "--channels", "0")
    assert code == 0, err
    assert "units of several groups: units/0" in out
    own, groups = units()["images/units/0000.png"]["metrics"], [f"images/units/0000-group-{i}.png" for i in range(2)]
    assert own["groups"] == 2 and own["silhouette"] > 0.8 and own["mixed"] > 0 and own["between"] > 0.9
    colours = []
    directions = Directions.load("OUT/directions.safetensors")
    assert (directions.layer, directions.count, directions.names[1]) == ("colours", 2, "units 0 group 1")
    for index, file in enumerate(groups):
        patches = units()[file]["metrics"]["patches"]
        (colour,) = {int(Path(patch["name"]).stem) % 3 for patch in patches}
        colours.append(colour)
        assert int(directions.decoder[index].argmax()) == colour
        pixels = np.asarray(Image.open(Path("OUT") / file)).reshape(-1, 3).mean(0)
        assert int(pixels.argmax()) == colour and units()[file]["objective"] == "group"
        assert all((Path("OUT") / patch["picture"]).is_file() for patch in patches)
    assert sorted(colours) == [0, 1]


def test_a_run_grows_and_is_resumed(command: Command) -> None:
    assert command(*RUN, *SMALL, "--channels", "0")[0] == 0
    before = units()
    code, out, _ = command(*RUN, *SMALL, "--channels", "0")
    assert code == 0 and "all were finished already" in out and units() == before
    assert command(*RUN, *SMALL, "--channels", "0,1,2")[0] == 0
    after = units()
    assert {key: after[key] for key in before} == before and "images/units/0001.png" in after
    assert "groups" not in after["images/units/0002.png"]["metrics"], "a unit that is never active has no patches"


def test_another_process_climbs_the_same_groups(command: Command) -> None:
    assert command(*RUN, *SMALL, "--channels", "0")[0] == 0
    before = {key: (Path("OUT") / key).read_bytes() for key in units()}
    code, _, err = command("repeat", "OUT/manifest.json", "--unit", "images/units/0000-group-1.png")
    assert code == 0, err
    assert before == {key: (Path("OUT") / key).read_bytes() for key in units()}


def test_the_page_shows_the_groups(command: Command, visit: Callable[..., Any]) -> None:
    assert command(*RUN, *SMALL, "--channels", "0,1")[0] == 0
    page = visit(Path("OUT/index.html").resolve()).page
    assert page.locator(".unit h2").first.inner_text() == "units · 0", "the most mixed comes first"
    first = page.locator(".unit").first
    assert first.locator(".group").count() == 2
    assert "2 groups: silhouette" in first.locator(".about").first.inner_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--channels", "3"), "channel 3 is out of range: layer 'units' has 3 (0 to 2)"),
        (("--channels", "0", "--groups", "1"), "groups must be an integer of at least 2"),
        (("--channels", "0", "--patches", "2"), "patches must be an integer of at least 4"),
        (("--channels", "0", "--layer", "colours", "--inputs", "units"), "'colours' does not depend on 'units'"),
        (("--channels", "0", "--layer", "colours"), "layer 'colours' is the first stage of mixed.py:mixed"),
    ],
)
def test_bad_input_is_one_line(command: Command, options: tuple[str, ...], message: str) -> None:
    code, _, err = command(*RUN, "--images", "squares", *options)
    assert code == 2 and message in err.splitlines()[-1] and "Traceback" not in err
