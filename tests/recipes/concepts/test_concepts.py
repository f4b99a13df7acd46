"""`inverter concepts`: its files and metrics, runs that grow, the page, and bad input."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import Directions, Model
from inverter_errors import BadInput
from recipes import Concepts
from recipes.cli.entry import main
from recipes.concepts.concepts_page import render_concepts
from recipes.pictures.sets import picture_set
from recipes.runner.report import Report

RED, GREEN = (190, 60, 60), (60, 190, 60)
Run = Callable[..., Report]


def write(folder: Path, colour: tuple[int, int, int], count: int, seed: int) -> Path:
    draw = np.random.default_rng(seed)
    folder.mkdir()
    for index in range(count):
        pixels = np.clip(draw.normal(colour, 60, (16, 16, 3)), 0, 255)
        Image.fromarray(np.uint8(pixels)).save(folder / f"{seed}-{index}.png")
    return folder


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Folders of red, green and grey pictures."""
    write(tmp_path / "red", RED, 9, 0)
    write(tmp_path / "green", GREEN, 7, 1)
    write(tmp_path / "grey", (125, 125, 125), 20, 2)
    return tmp_path


class ColourNet(nn.Module):
    """Class 0 is red, class 1 is green, class 2 is neither."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[range(3), range(3), 1, 1] = 1.0
            self.conv.bias.fill_(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = self.relu(self.conv(x)).mean((2, 3))
        return torch.stack([means[:, 0] - means[:, 1], means[:, 1] - means[:, 0], means[:, 2]], 1)


@pytest.fixture
def model() -> Model:
    return Model(ColourNet(), normalize="none", input_size=(16, 16), categories=("red", "green", "blue"))


@pytest.fixture
def run(model: Model, sets: Path, tmp_path: Path) -> Run:
    def made(**options: Any) -> Report:
        given = {"positive": str(sets / "red"), "negative": str(sets / "grey"), "layer": "relu", "steps": 2, "runs": 6}
        return Concepts(model=model, **given | {"out": str(tmp_path / "out"), "prior": "pixels"} | options).run()

    return made


@pytest.mark.parametrize("pooling", ["mean", "none"])
def test_a_concept_is_separated_and_scored(run: Run, model: Model, sets: Path, pooling: str) -> None:
    report = run(class_=["red", "green"], images=str(sets / "green"), pooling=pooling)
    (record,) = report.manifest.units.values()
    assert record.file == "images/relu/red.png"
    assert (record.name, record.layer, record.objective) == ("red", "relu", "direction")
    assert record.metrics["accuracy"] > 0.85
    assert (record.metrics["pictures"], record.metrics["set"]) == (9, 9)
    red, green = record.metrics["tcav"]
    assert (red["class"], red["index"], red["photographs"]) == ("red", 0, 7)
    assert red["score"] > green["score"]
    assert red["magnitude"] > 0 > green["magnitude"]
    assert [row["class"] for row in report.manifest.table] == ["red", "green"]
    assert report.closing is not None
    assert "of 2 TCAV scores" in report.closing
    assert all((report.out / file).is_file() for file in record.metrics["shown"])
    found = Directions.load(report.out / "directions" / "relu.safetensors")
    assert (found.names, found.method, found.layer, found.count) == (("red",), "cav", "relu", 1)
    assert found.decoder.norm() == pytest.approx(1)
    assert found.decoder[0, 0] > 0 > found.decoder[0, 1]
    with model.capture(["relu"]) as capture:
        sides = [
            found.encode(capture(picture_set(str(sets / name)).read(0, (16, 16))[None])["relu"].mean((2, 3))).item()
            for name in ("red", "grey")
        ]
    assert sides[0] > 0 > sides[1]


def test_a_run_grows_by_concepts_and_classes(run: Run, sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    assert first.manifest.table == [
        {"concept": "red", "layer": "relu", "accuracy": first.manifest.table[0]["accuracy"]}
    ]
    before = (first.out / "images/relu/red.png").stat().st_mtime_ns
    second = run(positive=[str(sets / "red"), f"leaves={sets / 'green'}"], images=[f"red={sets / 'red'}"])
    assert (second.made, list(second.manifest.units)) == (1, ["images/relu/red.png", "images/relu/leaves.png"])
    assert (first.out / "images/relu/red.png").stat().st_mtime_ns == before
    assert len(second.manifest.table) == 2
    assert Directions.load(second.out / "directions" / "relu.safetensors").names == ("red", "leaves")
    from recipes.concepts import concept_testing

    monkeypatch.setattr(concept_testing, "sensitivity_gradients", None)  # they are on disk
    third = run(positive=[str(sets / "red"), f"leaves={sets / 'green'}"], images=[f"red={sets / 'red'}"])
    assert third.manifest.table == second.manifest.table


def test_pictures_that_cannot_be_read_are_left_out(run: Run, sets: Path) -> None:
    (sets / "red" / "bad.png").write_bytes(b"no picture")
    report = run()
    assert list(report.skipped) == ["bad"]
    assert next(iter(report.manifest.units.values())).metrics["pictures"] == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "nowhere"}, "nowhere"),
        ({"layer": ""}, "layer: got ''"),
        ({"positive": ["a/red", "b/red"]}, "two concepts are named 'red': write NAME=b/red"),
        ({"class_": "red"}, "class is given but no images"),
        ({"images": "red"}, "images are given but no class"),
        ({"class_": "purple", "images": "GREY"}, "no class of .* is named 'purple'"),
        ({"class_": "blue", "images": "red=GREY"}, "class blue has no photographs: give images CLASS=FOLDER"),
        ({"runs": 1}, "runs must be an integer of at least 2"),
        ({"significance": 1.5}, "significance must be between 0 and 1"),
        ({"separator": "sdg"}, "unknown separator 'sdg'; did you mean sgd"),
        ({"positive": "FEW"}, "concept few: got 2 pictures, expected at least 4"),
        ({"negative": "FEW"}, "negative: got 2 pictures, expected at least 8"),
    ],
)
def test_bad_input_is_one_line(run: Run, sets: Path, options: dict[str, Any], message: str) -> None:
    write(sets / "few", RED, 2, 3)
    places = {"GREY": str(sets / "grey"), "FEW": str(sets / "few"), "red=GREY": f"red={sets / 'grey'}"}
    given = {key: places.get(value, value) if isinstance(value, str) else value for key, value in options.items()}
    with pytest.raises((BadInput, LookupError), match=message) as error:
        run(**given)
    assert "\n" not in str(error.value)


def test_the_command_line(sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(sets)
    command = (
        "concepts --model builtin --layer features.stem --positive red --negative grey --runs 2 --steps 1 --size 16 "
        "--class 0 --images green --out OUT"
    )
    assert main(command.split()) == 0
    shown = capsys.readouterr().out
    assert "of 1 TCAV score" in shown
    manifest = json.loads((sets / "OUT/manifest.json").read_text())
    assert manifest["settings"]["positive"] == ["red"]
    assert "Few pictures: red has 9 pictures" in (sets / "OUT/index.html").read_text()
    assert main(["repeat", "OUT", "--unit", "images/features.stem/red.png"]) == 0
    missing = "--positive red --negative nowhere --layer features.stem --out NEW"
    assert main(["concepts", *missing.split()]) == 2
    assert "no picture or folder 'nowhere'" in capsys.readouterr().err


def test_the_page_shows_scores_and_escapes_names(visit: Callable[..., Any], tmp_path: Path) -> None:
    name = '"><img src=x onerror=hacked=1>'
    tcav = [
        {
            "class": name,
            "score": 0.9,
            "spread": 0.05,
            "random": 0.5,
            "random_spread": 0.2,
            "p": 1e-6,
            "significant": True,
        },
        {
            "class": "b",
            "score": 0.6,
            "spread": 0.2,
            "random": 0.5,
            "random_spread": 0.2,
            "p": 0.3,
            "significant": False,
        },
    ]
    metrics = {
        "accuracy": 0.9,
        "accuracy_spread": 0.05,
        "random_accuracy": 0.5,
        "pictures": 30,
        "set": 30,
        "tcav": tcav,
    }
    units = [
        {"layer": layer, "name": name, "objective": "direction", "file": f"images/{layer}.png", "metrics": metrics}
        for layer in ("one", "two")
    ]
    (tmp_path / "index.html").write_text(render_concepts({"recipe": "concepts", "units": units, "table": tcav}))
    page = visit(tmp_path / "index.html").page
    assert page.locator(".concept h2 span").first.inner_text() == name
    assert page.locator(".scores svg.is").count() == 2
    assert page.locator(".scores svg.not").count() == 2
    assert "0.60 ± 0.20 · p = 0.3000, not significant" in page.locator(".scores").first.inner_text()
    page.locator("#query").fill("two")
    assert page.locator(".layer:visible").count() == 1
    page.locator(".shot:visible").click()
    assert page.locator("dialog[open]").count() == 1
    assert page.evaluate("window.hacked") is None


def test_dogs_are_what_a_dog_class_depends_on(shared_data: Path, squeezenet: Model, tmp_path: Path) -> None:
    files = {int(path.name[:4]): path for path in (shared_data / "images/imagenet").glob("*.jpg")}
    dogs = [path for index, path in sorted(files.items()) if 151 <= index <= 268]
    things = [path for index, path in sorted(files.items()) if index >= 400][::8]
    for name, paths in (("dogs", dogs[::2]), ("others", things), ("photographs", dogs[1::4])):
        (tmp_path / name).mkdir()
        for path in paths:
            (tmp_path / name / path.name).symlink_to(path)
    report = Concepts(
        model=squeezenet,
        layer="features.10",
        positive=str(tmp_path / "dogs"),
        negative=str(tmp_path / "others"),
        class_=["Airedale", "minivan"],
        images=str(tmp_path / "photographs"),
        size=96,
        steps=1,
        runs=10,
        out=str(tmp_path / "out"),
    ).run()
    (record,) = report.manifest.units.values()
    dog, van = record.metrics["tcav"]
    assert record.metrics["accuracy"] > 0.7 > 0.6 > record.metrics["random_accuracy"]
    assert dog["score"] > 0.9
    assert dog["significant"]
    assert van["score"] < 0.5
