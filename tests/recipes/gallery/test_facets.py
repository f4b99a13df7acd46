"""Facets: a picture of each of the several things that a unit responds to."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import BadInput, Model, load_model
from inverter.scoring import evaluate
from recipes import Gallery
from recipes.cli.entry import main
from recipes.pictures.reading import read_picture
from recipes.runner.context import RunContext
from recipes.runner.units import Problem

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
COUNTS = {"red": 5, "green": 3, "blue": 4}


@pytest.fixture
def model() -> Model:
    """A network whose unit 0 responds to red and to green, unit 1 to blue, and unit 2 never."""
    low, high = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 5, 1, bias=False)
    low.weight.data = torch.eye(3)[:, :, None, None]
    high.weight.data = torch.tensor([[1.0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]])[:, :, None, None]
    net = nn.Sequential(OrderedDict(low=nn.Sequential(low, nn.ReLU()), unit=nn.Sequential(high, nn.ReLU())))
    return load_model(net, input_size=16, normalize="none")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour, values in COLOURS.items():
        for i in range(COUNTS[colour]):
            picture = np.zeros((16, 16, 3)) + np.array(values) * (200 - 20 * i)
            Image.fromarray(picture.astype(np.uint8)).save(folder / f"{colour}{i}.png")
    return folder


def gallery(model: Model | str, photos: Path | list[str], out: Path, **options: Any) -> Gallery:
    known = {"layer": "unit", "channels": "0", "facets": 2, "steps": 8, "images": photos, "out": str(out)}
    return Gallery(model=model, **(known | {"precision": "float32"} | options))


def test_a_unit_that_responds_to_two_things_gets_a_picture_of_each(model: Model, photos: Path, tmp_path: Path) -> None:
    report = gallery(model, photos, tmp_path / "out").run()
    records = list(report.manifest.units.values())
    assert [record.file for record in records] == [f"images/unit/0000-facet-{i}.png" for i in range(2)]
    groups = [{patch["name"][:-1] for patch in record.metrics["patches"]} for record in records]
    assert groups == [{"red"}, {"green"}]
    assert [record.metrics["facet_pictures"] for record in records] == [COUNTS["red"], COUNTS["green"]]
    red, green = (read_picture(report.out / record.file).mean((1, 2)) for record in records)
    assert red[0] > 2 * red[1] and green[1] > 2 * green[0]


def test_its_facets_start_at_the_mean_of_their_pictures(model: Model, photos: Path, tmp_path: Path) -> None:
    recipe = gallery(model, photos, tmp_path / "out", size=8)
    context = RunContext(recipe, model)
    problem = recipe.problem(context, recipe.units(context))
    assert isinstance(problem, Problem)
    mean = np.mean([200 - 20 * i for i in range(COUNTS["red"])]) / 255
    torch.testing.assert_close(problem.prior()[0].mean((1, 2)), torch.tensor([mean, 0, 0]).float(), atol=0.01, rtol=0)
    scores = [
        evaluate(model, problem.objective, torch.eye(3)[[i, 1 - i], :, None, None].expand(2, 3, 8, 8)) for i in (0, 1)
    ]
    assert bool((scores[0] > 10 * scores[1]).all())  # red as the first facet, green as the second, and exchanged


def test_a_unit_with_few_pictures_has_fewer_facets(model: Model, photos: Path, tmp_path: Path) -> None:
    recipe = gallery(model, photos, tmp_path / "out", channels="0-2", facets=3)
    units = recipe.units(RunContext(recipe, model))
    assert [unit.file.removeprefix("images/unit/") for unit in units] == [
        *(f"0000-facet-{i}.png" for i in range(3)),
        *(f"0001-facet-{i}.png" for i in range(2)),  # of four blue pictures
        "0002.png",  # of none
    ]


def test_a_stopped_run_resumes_and_a_picture_is_repeated(photos: Path, tmp_path: Path) -> None:
    options = {"layer": "features.stem", "channels": "1", "steps": 2, "size": 32, "batch_size": 1, "like": "top"}
    recipe = gallery("builtin", photos, tmp_path / "out", **options)
    report = recipe.run()
    files = [report.out / file for file in report.manifest.units]
    before = [file.read_bytes() for file in files]
    assert len(files) == 2 and before[0] != before[1]
    files[1].unlink()
    assert recipe.run().made == 1
    assert [file.read_bytes() for file in files] == before
    with pytest.raises(BadInput, match="facets"):
        gallery("builtin", photos, tmp_path / "out", **(options | {"facets": 3})).run()
    assert main(["repeat", str(report.out / "manifest.json"), "--unit", list(report.manifest.units)[1]]) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"images": None}, "set images to a folder"),
        ({"facets": 1}, "facets must be"),
        ({"facets": True}, "facets must be"),
        ({"negative": True}, "leave out negative and attempts"),
        ({"attempts": 2}, "leave out negative and attempts"),
    ],
)
def test_bad_input(model: Model, photos: Path, tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        gallery(model, photos, tmp_path / "out", **options)


def test_the_command_line_refuses_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "--layer", "features.stem", "--facets", "2", "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_facets_of_a_trained_network_differ(squeezenet: Model, shared_data: Path, tmp_path: Path) -> None:
    """The code of a facet's picture is nearer to the mean code of its own pictures than to that of the other's."""
    folder = shared_data / "images" / "imagenet"
    some = [str(file) for file in sorted(folder.glob("*.jpg"))[::16]]
    options = {"layer": "features.9", "channels": "3", "size": 96, "steps": 12}
    recipe = gallery(squeezenet, some, tmp_path / "out", **options)
    report = recipe.run()
    context = RunContext(recipe, squeezenet)
    found = recipe._facets(context, tuple(recipe.units(context)))
    pictures = torch.stack([read_picture(report.out / file) for file in report.manifest.units])
    with torch.no_grad(), squeezenet.capture(["features.8"]) as capture:
        codes = capture(squeezenet.normalize(pictures))["features.8"].mean((2, 3))
    own = [nn.functional.cosine_similarity(codes - each.mean, each.vector[None]) for each in found]
    assert own[0][0] > own[0][1] + 0.1 and own[1][1] > own[1][0] + 0.1
