"""Activation grids: the sizes of cells, where they lie, and what a run leaves behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from inverter import Model, load_model
from recipes import Grid
from recipes.photo.grid import cell_side, compose
from recipes.pictures.reading import read_picture
from recipes.runner.context import RunContext


@given(st.floats(1e-3, 1e3), st.floats(1, 10), st.integers(8, 200))
def test_a_cells_area_is_in_proportion_to_its_magnitude(magnitude: float, ratio: float, pitch: int) -> None:
    side = cell_side(magnitude, magnitude * ratio, pitch)
    assert abs(side - pitch / ratio**0.5) <= 0.5 + 1e-6
    assert cell_side(magnitude, magnitude, pitch) == pitch


def test_icons_lie_in_the_centre_of_their_cells() -> None:
    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None].expand(3, 5, 5)
    blue = torch.tensor([0.0, 0.0, 1.0])[:, None, None].expand(3, 5, 5)
    picture = compose([(0, 1, 4.0, red), (1, 0, 1.0, blue)], 2, 2, 4)
    expected = torch.ones(3, 8, 8)
    expected[:, 0:4, 4:8] = red[:, :1, :1]
    expected[:, 5:7, 1:3] = blue[:, :1, :1]  # a quarter of the magnitude: half of the side
    assert torch.allclose(picture, expected)


@pytest.fixture
def tiny(tiny_net: nn.Module) -> Model:
    return load_model(tiny_net, input_size=12)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def grid(model: Any, photo: Path, **options: Any) -> Grid:
    known = {"layer": "mix", "icon": 8, "steps": 1, "precision": "float32", "out": str(photo.parent / "out")}
    return Grid(model=model, image=str(photo), **(known | options))


def test_a_run_makes_every_position_and_their_picture(tiny: Model, photo: Path) -> None:
    recipe = grid(tiny, photo, size=8, batch_size=32)
    report = recipe.run()
    records = [record for record in report.manifest.units.values() if record.objective == "direction"]
    assert [record.metrics["position"] for record in records] == [[y, x] for y in range(8) for x in range(8)]
    magnitudes = [record.metrics["magnitude"] for record in records]
    maps = recipe._maps(RunContext(recipe, recipe.load()))["mix"]
    assert magnitudes == pytest.approx(maps.norm(dim=0).flatten().tolist(), rel=1e-5)
    drawn = read_picture(report.out / "grids" / "mix.png")
    assert drawn.shape == (3, 64, 64)
    y, x = records[int(np.argmax(magnitudes))].metrics["position"]
    icon = read_picture(report.out / f"images/mix/position-{y:03d}-{x:03d}.png")
    assert torch.equal(drawn[:, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8], icon)
    assert recipe.run().made == 0


def test_positions_without_activation_stay_empty(photo: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.fill_(-1.0)
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[1, 2] = 255
    Image.fromarray(pixels).save(photo)
    report = grid(load_model(net.eval(), normalize="none", input_size=8), photo, layer="1").run()
    drawn = read_picture(report.out / "grids" / "1.png")
    filled = torch.zeros(64, 64, dtype=torch.bool)
    filled[8:16, 16:24] = True
    assert bool((drawn[:, ~filled] == 1).all())
    assert not bool((drawn[:, filled] == 1).all())


def test_groups_have_an_icon_a_colour_and_a_map(tiny: Model, photo: Path) -> None:
    report = grid(tiny, photo, layer="stem.2", size=8, groups=2, batch_size=80).run()
    groups = [record for record in report.manifest.units.values() if record.objective == "group"]
    assert [record.file for record in groups] == ["images/stem.2/group-00.png", "images/stem.2/group-01.png"]
    assert groups[0].metrics["colour"] != groups[1].metrics["colour"]
    assert np.shape(groups[0].metrics["map"]) == (8, 8)
    assert all((report.out / record.file).is_file() for record in groups)


@pytest.mark.parametrize("groups", [0, -1, True, 9])
def test_numbers_of_groups_that_cannot_be_are_refused(tiny: Model, photo: Path, groups: int) -> None:
    with pytest.raises(ValueError, match="groups"):
        grid(tiny, photo, layer="stem.2", groups=groups).run()
    assert not (photo.parent / "out").exists()
