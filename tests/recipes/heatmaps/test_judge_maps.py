"""`inverter judge-maps`: its measures of pictures and methods, its files, and errors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from inverter import Model
from recipes import JudgeMaps
from recipes.attribution.measures import judge as judging
from recipes.cli.entry import main
from recipes.pictures.reading import read_picture
from recipes.runner.report import Report

Run = Callable[..., Report]
QUICK = {"points": 4, "depths": 3, "squares": 8, "tolerance": 0}


@pytest.fixture
def run(insects: Model, photos: Path, tmp_path: Path) -> Run:
    def made(**options: Any) -> Report:
        out = str(tmp_path / "out")
        return JudgeMaps(model=insects, **({"image": str(photos), "out": out} | QUICK | options)).run()

    return made


def test_each_method_is_measured_on_each_picture(run: Run) -> None:
    report = run(method=["grad-cam", "saliency"])
    assert list(report.manifest.units) == [
        *("originals/a.png", "originals/b.png"),
        *(f"images/{method}/{name}.png" for method in ("grad-cam", "saliency") for name in "ab"),
    ]
    unit = report.manifest.units["images/saliency/a.png"]
    metrics = unit.metrics
    assert (unit.layer, unit.objective, unit.image, metrics["method"]) == ("output", "logit", "a", "saliency")
    assert len(metrics["deletion_curve"]) == len(metrics["insertion_curve"]) == 5
    assert metrics["deletion_curve"][0] == pytest.approx(metrics["insertion_curve"][-1], abs=1e-5)
    assert all(0 <= value <= 1 for value in metrics["deletion_curve"] + metrics["insertion_curve"])
    assert 0 <= metrics["infidelity"] <= 1
    assert metrics["shift"] == pytest.approx(0, abs=1e-3)
    assert metrics["target_change"] > 0.01
    assert [depth["layers"] for depth in metrics["cascade"]] == [1, 3, 5]
    assert metrics["cascade"][-1]["down_to"] == "stem.0"
    strip = read_picture(report.out / unit.extra_files["strip"])
    assert strip.shape == (3, 16, 4 * 16)
    assert "pointing" not in metrics
    assert (report.out / "index.html").is_file()


def test_the_table_has_the_means_and_a_random_baseline(run: Run) -> None:
    report = run(method=["saliency", "grad-cam"])
    assert [row["method"] for row in report.manifest.table] == ["saliency", "grad-cam", "random"]
    row, values = report.manifest.table[0], [u.metrics for u in report.manifest.units.values()]
    mine = [each for each in values if each["method"] == "saliency"]
    for name in ("insertion", "deletion", "infidelity", "target_change", "shift"):
        assert row[name] == pytest.approx(np.mean([each[name] for each in mine])), name
    halves = [np.mean([d["size"] for d in each["cascade"] if d["layers"] <= 2.5]) for each in mine]
    assert row["randomised_half"] == pytest.approx(np.mean(halves))
    assert row["weights"] == ("hardly" if row["randomised_half"] >= 0.5 else "depends")
    assert set(report.manifest.table[2]) == {"method", "pictures", "insertion", "deletion"}


def test_a_method_that_ignores_the_weights_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "heat_maps", lambda _model, images, *_, **__: images.mean(1).cpu())
    report = run(method=["saliency"])
    row = report.manifest.table[0]
    assert row["randomised_half"] == row["randomised_all"] == pytest.approx(1.0)
    assert row["weights"] == "hardly"
    assert row["target_change"] == pytest.approx(0.0, abs=1e-6)
    recipe = JudgeMaps(image="photos")
    assert recipe.closing(list(report.manifest.units.values())) == "hardly depends on the weights: saliency"
    assert "Hardly depends on the weights: saliency." in (report.out / "index.html").read_text()


def test_maps_are_measured_against_boxes(run: Run, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"a.png": [2, 0, 18, 16]}))  # all that remains once the sides are cropped
    report = run(boxes=str(boxes), method=["grad-cam:relu=false", "saliency"])
    units = report.manifest.units
    assert (units["images/saliency/a.png"].metrics["pointing"], units["images/saliency/a.png"].metrics["energy"]) == (
        1,
        1,
    )
    assert "pointing" not in units["images/saliency/b.png"].metrics
    assert units["originals/a.png"].metrics["boxes"] == [[0, 0, 16, 16]]
    assert [row["pointing"] for row in report.manifest.table] == [1, 1, 1]
    boxes.write_text(json.dumps({"a": [2, 0, 10, 8], "b": [2, 0, 10, 8]}))
    report = run(boxes=str(boxes), fresh=True)
    assert report.manifest.table[-1]["pointing"] == pytest.approx(1 / 4)


def test_scores_of_any_target_are_scaled_between_the_baseline_and_the_picture(run: Run) -> None:
    report = run(target="channel:mix:2", method="saliency", against="channel:mix:3")
    metrics = report.manifest.units["images/saliency/a.png"].metrics
    assert (metrics["deletion_curve"][0], metrics["deletion_curve"][-1]) == (1, 0)
    assert metrics["insertion_curve"][-1] == pytest.approx(1, abs=1e-5)
    assert {depth["down_to"] for depth in metrics["cascade"]} <= {"mix", "body", "stem.0", "stem.1"}
    assert metrics["target_change"] > 0.01
    assert "target_change" not in run(target="channel:mix:2", fresh=True).manifest.table[0]


def test_an_interrupted_run_resumes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    judged = judging.Judge.__call__

    def until(self: judging.Judge, choice: Any) -> Any:
        if len(started) == 1:
            raise KeyboardInterrupt
        started.append(str(choice))
        return judged(self, choice)

    with monkeypatch.context() as patch:
        patch.setattr(judging.Judge, "__call__", until)
        with pytest.raises(KeyboardInterrupt):
            run(method=["saliency", "grad-cam"], batch_size=2)
    report = run(method=["saliency", "grad-cam"], batch_size=2)
    assert report.made == 2
    full = run(method=["saliency", "grad-cam"], batch_size=1, fresh=True)
    for file, unit in full.manifest.units.items():
        first = report.manifest.units[file].metrics
        for name in {"insertion", "deletion", "infidelity", "target_change"} & set(unit.metrics):
            assert first[name] == pytest.approx(unit.metrics[name], rel=1e-3, abs=1e-5), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": ()}, r"image: got \(\); expected a picture, a folder"),
        ({"image": "nowhere.png"}, "no picture or folder 'nowhere.png'"),
        ({"target": "logit:9"}, "9 is out of range"),
        ({"against": "logit:9"}, "9 is out of range"),
        ({"against": "channel:mix:99"}, "channel 99 is out of range"),
        ({"against": "lagit:1"}, "unknown kind 'lagit'"),
        ({"method": "lime-light"}, "unknown method 'lime-light'"),
        ({"method": "saliency", "layer": "mix"}, "none of the methods takes a layer"),
        ({"layer": "head"}, "layer 'head' outputs"),
        ({"boxes": "nowhere.json"}, "no file of boxes 'nowhere.json'"),
        ({"points": 0}, "points must be an integer of at least 1, got 0"),
        ({"depths": -1}, "depths must be an integer of at least 0"),
        ({"squares": 2.5}, "squares must be"),
    ],
)
def test_bad_input_is_reported_before_anything_is_written(
    options: dict[str, Any], message: str, run: Run, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, LookupError, OSError), match=message) as caught:
        run(**options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_from_the_command_line(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["judge-maps", "--image", str(photos / "a.png"), "--out", str(out), "--size", "32", "--points", "2"]
    command += ["--depths", "2", "--squares", "2"]
    assert main([*command, "--method", "guided-backprop", "--method", "saliency"]) == 0
    printed = capsys.readouterr().out
    assert "2 pictures" in printed
    assert "guided-backprop" in printed
    assert "weights" in printed
    assert main([*command, "--method", "grad-kam"]) == 2
    assert "did you mean grad-cam" in capsys.readouterr().err


def test_grey_networks_are_judged_on_grey_pictures(photos: Path, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    grey = Model(net, normalize=((0.5,), (0.5,)), input_size=(16, 16))
    report = JudgeMaps(model=grey, image=str(photos), out=str(tmp_path / "out"), **QUICK).run()
    assert len(report.manifest.units) == 4


def test_a_method_of_a_pooled_head_ignores_the_layer(run: Run) -> None:
    report = run(method=["cam", "grad-cam"], layer="mix")
    places = {unit.metrics["method"]: unit.metrics.get("at") for unit in report.manifest.units.values()}
    assert (places["cam"], places["grad-cam"]) == ("relu#1", "mix")


def test_a_layer_that_no_method_needs_is_rejected(run: Run) -> None:
    with pytest.raises(ValueError, match="none of the methods takes a layer"):
        run(method=["cam", "saliency"], layer="mix")
