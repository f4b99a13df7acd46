"""Top patches: the files and the manifest, and on a trained network, that the right pictures are on top."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import Model, encode, load_model
from recipes import Gallery, Patches
from recipes.cli.entry import main
from recipes.executors.progress import RunProgress
from recipes.pictures.reading import fit, read_picture
from recipes.runner.report import Report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine pictures with a bright square each, on a dark ground, and one that cannot be read."""
    place = tmp_path / "photos"
    place.mkdir()
    for index in range(9):
        picture = np.full((24, 24, 3), 20, np.uint8)
        top, left = 2 + 2 * index, 20 - 2 * index
        picture[top : top + 4, left - 2 : left + 2] = 100 + 15 * index
        Image.fromarray(picture).save(place / f"{index}.png")
    (place / "bad.png").write_bytes(b"no")
    return place


@pytest.fixture
def bright() -> Model:
    """A network whose first channel is brightness over 4x4 pixels, whose second is darkness, and a dead third one."""
    net = nn.Sequential(nn.Conv2d(3, 3, 4, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 11 * 11, 2))
    with torch.no_grad():
        net[0].weight[0], net[0].weight[1], net[0].weight[2] = 1 / 48, -1 / 48, 0
        net[0].bias[0], net[0].bias[1], net[0].bias[2] = 0, 1, -1
    return load_model(net, input_size=24, normalize="none")


def metrics(report: Report, file: str) -> dict[str, Any]:
    return report.manifest.units[file].metrics


def test_patches_are_cut_where_the_unit_fires(bright: Model, folder: Path, tmp_path: Path) -> None:
    report = Patches(model=bright, images=str(folder), layer="1", count=3, out=str(tmp_path / "out")).run()
    first, dark, dead = (metrics(report, f"images/1/{number:04d}.png") for number in range(3))
    assert [patch["name"] for patch in first["most"]] == ["8", "7", "6"]
    for patch in first["most"]:
        index = int(patch["name"])
        top, left = 2 + 2 * index, 18 - 2 * index
        assert patch["window"] == [top, left, top + 4, left + 4]
        assert patch["value"] == pytest.approx((100 + 15 * index) / 255, abs=1e-3)
        with Image.open(report.out / patch["picture"]) as shown:
            assert shown.size == (24, 24)
            inside = np.asarray(shown)[top : top + 4, left : left + 4]
        assert inside.mean() == pytest.approx(100 + 15 * index, abs=6)
    assert [patch["name"] for patch in dark["least"]] == ["8", "7", "6"]
    assert dead["most"] == dead["least"] == []
    assert report.manifest.units["images/1/0002.png"].score is None
    assert first["fires"] == 1
    assert report.manifest.table == [
        {"layer": "1", "units": 3, "receptive_field": "4 px", "pictures": 9, "skipped": 1, "silent": 1}
    ]
    assert report.page.is_file()


def test_heat_maps_are_the_units_maps_side_by_side(bright: Model, folder: Path, tmp_path: Path) -> None:
    report = Patches(model=bright, images=str(folder), layer="1", channels=0, count=2, out=str(tmp_path / "out")).run()
    found = metrics(report, "images/1/0000.png")
    rim = found["map"]["rim"]
    with Image.open(report.out / "images/1/0000.png") as strip:
        shades = np.asarray(strip).astype(float) / 255
    side = 11 + 2 * rim
    assert shades.shape == (side, 4 * side)
    for slot, patch in enumerate([*found["most"], *found["least"]]):
        picture = fit(read_picture(folder / f"{patch['name']}.png"), (24, 24))
        truth = encode(bright, picture[None], "1")["1"][0, 0] / found["most"][0]["value"]
        tile = shades[rim : rim + 11, slot * side + rim : slot * side + rim + 11]
        np.testing.assert_allclose(tile, truth.clamp(0, 1), atol=0.003)
        y, x = patch["at"]
        assert tile[y, x] == tile.max()


def test_a_layer_below_zero_is_shown_from_zero_and_for_the_least_from_its_lowest(
    bright: Model, folder: Path, tmp_path: Path
) -> None:
    with torch.no_grad():
        bright.module.get_parameter("0.bias")[1] = 0.5
    report = Patches(model=bright, images=str(folder), layer="0", channels=1, count=1, out=str(tmp_path / "out")).run()
    found = metrics(report, "images/0/0001.png")
    rim, high, low = found["map"]["rim"], found["most"][0]["value"], found["least"][0]["value"]
    assert low < -0.3
    with Image.open(report.out / "images/0/0001.png") as strip:
        shades = np.asarray(strip).astype(float) / 255
    for slot, (patch, black) in enumerate(((found["most"][0], 0), (found["least"][0], low))):
        picture = fit(read_picture(folder / f"{patch['name']}.png"), (24, 24))
        truth = (encode(bright, picture[None], "0")["0"][0, 1] - black) / (high - black)
        left = slot * (11 + 2 * rim) + rim
        np.testing.assert_allclose(shades[rim : rim + 11, left : left + 11], truth.clamp(0, 1), atol=0.003)


def test_the_same_command_resumes_and_ends_the_same(
    tiny_net: nn.Module, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(tiny_net, input_size=12)

    def make(out: str, progress: Callable[[RunProgress], None] | None = None) -> Report:
        return Patches(
            model=model, images=str(folder), layer=["stem", "body"], count=2, batch_size=4, out=str(tmp_path / out)
        ).run(progress)

    def contents(out: str) -> dict[str, bytes]:
        files = [path for path in (tmp_path / out).rglob("*") if path.is_file() and path.name != "index.html"]
        return {str(path.relative_to(tmp_path / out)): path.read_bytes() for path in files}

    make("complete")
    for at, (noun, done) in enumerate([("input picture", 4), ("input picture", 10), ("unit", 8)]):

        def stop(update: RunProgress, noun: str = noun, done: int = done) -> None:
            if update.noun == noun and update.finished + update.done >= done:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make(f"out{at}", stop)
        report = make(f"out{at}")
        assert report.made == (8 if noun == "unit" else 16)
        made, complete = contents(f"out{at}"), contents("complete")
        assert {name: made[name] for name in made if name != "manifest.json"} == {
            name: complete[name] for name in complete if name != "manifest.json"
        }
        mine, theirs = (json.loads(each["manifest.json"]) for each in (made, complete))
        assert mine["units"] == theirs["units"]
        assert mine["table"] == theirs["table"]


@pytest.fixture(scope="module")
def trained(squeezenet: Model, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Twenty-three photographs, the first eight of them from tench to bulbul."""
    files = sorted((shared_data / "images/imagenet").glob("*.jpg"))
    chosen = [str(file) for file in (*files[:8], *files[40::25])]
    out = tmp_path_factory.mktemp("patches") / "out"
    return Patches(
        model=squeezenet, images=chosen, objective="logit", channels="0,1,6,11,16", count=3, out=str(out)
    ).run()


def test_a_class_is_activated_most_by_its_own_photograph(trained: Report) -> None:
    for record in trained.manifest.units.values():
        assert record.metrics["most"][0]["name"].startswith(f"{record.channel:04d}_")
        assert str(record.name).split()[0] in record.metrics["most"][0]["name"]
        assert record.metrics["most"][0]["window"] == [0, 0, 224, 224]
        assert record.score == record.metrics["most"][0]["value"]


def test_a_gallery_with_a_dataset_reports_how_they_compare(
    squeezenet: Model, shared_data: Path, tmp_path: Path
) -> None:
    files = [str(file) for file in sorted((shared_data / "images/imagenet").glob("*.jpg"))[::40]]
    report = Gallery(
        model=squeezenet,
        layer="features.7",
        channels="3,17",
        negative=True,
        images=files,
        steps=16,
        size=96,
        augment="none",
        out=str(tmp_path / "out"),
    ).run()
    for file, record in report.manifest.units.items():
        found = record.metrics
        assert found["dataset_pictures"] == 10
        assert len(found["patches"]) == 4
        assert all((report.out / patch["picture"]).is_file() for patch in found["patches"])
        if record.direction == "max":
            assert found["percentile"] == 100
            assert record.score is not None
            assert record.score > found["dataset_highest"]
        else:
            assert found["percentile"] <= 20, file
    page = report.page.read_text()
    assert "dataset_highest" in page
    again = Gallery(**(report.manifest.settings | {"model": squeezenet, "out": str(report.out)})).run()
    assert again.made == 0


STEM = ("--layer", "features.stem")


def command(*flags: str) -> list[str]:
    return ["patches", "--size", "24", "--out", "OUT", *flags]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "--images"),
        ((*STEM, "--images", "nowhere"), "no picture or folder 'nowhere'"),
        ((*STEM, "--images", "empty"), "there is no picture in 'empty'"),
        (("--images", "photos", "--count", "0"), "count must be an integer of at least 1"),
        (("--images", "photos", "--objective", "softmax"), "'softmax'"),
        (("--images", "photos", "--layer", "features.stem", "--channels", "999"), "channel 999 is out of range"),
        (("--images", "photos", "--layer", "missing"), "no layer 'missing'"),
        (("--images", "photos", "--objective", "logit", "--layer", "features.stem"), "leave out layer"),
        (("--images", "photos", "--size", "0"), "size must be"),
        ((*STEM, "--images", "bad"), "none of the 1 picture can be read"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("bad").mkdir()
    Path("bad/a.png").write_bytes(b"no")
    try:
        code = main(command(*flags))
    except SystemExit as exit:
        code = exit.code  # type: ignore[assignment]
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not re.search("pictures?, ", line)]
    assert (code, out, len(lines)) == (2, "", 1)
    assert says in lines[0]


def test_the_command_says_what_it_skipped_and_where_the_page_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ("--images", "photos", "--layer", "features.stem", "--channels", "0-1", "--count", "20")
    assert main(command(*flags)) == 0
    out, err = capsys.readouterr()
    assert "2 units in OUT (2 made in" in out
    assert "open OUT/index.html" in out
    assert "skipped bad: photos/bad.png cannot be read as a picture" in err
    assert "10/10 input pictures" in err
    assert "20 patches were requested, but there are only 9 pictures" in Path("OUT/index.html").read_text()
    assert main(command(*flags)) == 0
    assert "all were finished already" in capsys.readouterr().out
