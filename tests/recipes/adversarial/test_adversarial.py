"""`inverter adversarial`: files, metrics, table, resuming, errors; and on a trained network, from the files alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from inverter import Directions, Model, encode
from recipes import Adversarial
from recipes.cli.entry import main
from recipes.pictures.reading import read_picture
from recipes.runner.report import Report

Run = Callable[..., Report]


@pytest.fixture
def run(insects: Model, photos: Path, tmp_path: Path) -> Run:
    def made(**options: Any) -> Report:
        usual = {"model": insects, "image": str(photos), "out": str(tmp_path / "out"), "steps": 12, "size": 16}
        return Adversarial(**(usual | options)).run(None)

    return made


def changed(report: Report) -> list[dict[str, Any]]:
    return [unit.metrics for unit in report.requested if unit.objective == "adversarial"]


def top(model: Model, picture: torch.Tensor) -> int:
    return int(encode(model, picture[None], "")[""].argmax())


def test_each_picture_is_changed_for_each_target_and_norm(run: Run, insects: Model) -> None:
    report = run(target=["any", "cat"], norm=["l2", "linf"])
    assert list(report.manifest.units) == [
        *("originals/a.png", "originals/b.png"),
        *(f"changed/{kind}/{name}.png" for kind in _kinds() for name in "ab"),
    ]
    for file, unit in report.manifest.units.items():
        picture = read_picture(report.out / file)  # what is measured must hold for the files
        if unit.objective == "original":
            continue
        metrics, original = unit.metrics, read_picture(report.out / f"originals/{unit.image}.png")
        step = ((picture - original) * 255).round()
        assert metrics["reached"]
        assert metrics["l2_255"] == pytest.approx(float(step.norm()), abs=1e-3)
        assert metrics["linf_255"] == int(step.abs().max())
        assert metrics["changed"] == pytest.approx(float((step != 0).float().mean()))
        assert metrics["l2"] == pytest.approx(metrics["l2_255"] / 255)
        seen = top(insects, picture)
        assert metrics["after"][0]["index"] == seen
        assert seen == 2 if metrics["target"] == "logit:cat" else seen != top(insects, original)
        difference = read_picture(report.out / unit.extra_files["difference"])
        truth = (0.5 + metrics["amplified"] * (picture - original)).clamp(0, 1)
        np.testing.assert_allclose(difference, truth, atol=1 / 255)
    assert report.page and report.page.is_file()


def _kinds() -> list[str]:
    return [f"{target}-{norm}" for target in ("any", "logit_cat") for norm in ("l2", "linf")]


def test_the_table_sums_up_targets_and_norms(run: Run) -> None:
    report = run(norm=["l2", "linf"])
    first, second = report.manifest.table
    sizes = [metrics["l2"] for metrics in changed(report) if metrics["norm"] == "l2"]
    assert (first["target"], first["norm"], first["pictures"], first["reached"]) == ("any", "l2", 2, 1)
    assert first["median"] == pytest.approx(np.median(sizes))
    assert first["median_255"] == pytest.approx(255 * first["median"])
    assert second["median_255"] == pytest.approx(255 * second["median"])
    assert first["continuous"] == pytest.approx(first["median"], rel=0.5)


def test_a_unit_is_raised_above_a_percentile_of_pictures(run: Run, insects: Model, photos: Path) -> None:
    report = run(target="channel:stem.0:3", above="100%", among=str(photos))
    pictures = [read_picture(report.out / f"originals/{name}.png") for name in "ab"]
    highest = max(float(encode(insects, each[None], "stem.0")["stem.0"][0, 3].mean()) for each in pictures)
    for metrics in changed(report):
        assert metrics["threshold"] == pytest.approx(highest, abs=0.01)
        assert metrics["value_after"] > metrics["threshold"] - 1e-5
        assert metrics["value_before"] <= metrics["threshold"] + 0.01


def test_a_latent_is_a_target(run: Run, insects: Model, tmp_path: Path) -> None:
    file = tmp_path / "set.safetensors"
    rows = torch.eye(8)[:4] - torch.eye(8)[4:]
    found = Directions("stem.0", rows, model=insects.spec, sha256=insects.sha256)
    found.save(file)
    report, known = run(target=f"latent:{file}:2", above="0.5"), insects.with_directions({"set": found})
    layer = known.directions.address("set")
    for unit in report.requested:
        seen = encode(known, read_picture(report.out / unit.file)[None], layer)[layer][0, 2]
        assert unit.metrics["value_after"] == pytest.approx(float(seen.mean()), abs=1e-4)
        assert unit.metrics["value_after"] > 0.5


def test_paths_are_followed_and_judges_asked(run: Run, insects: Model) -> None:
    report = run(judge=insects)
    for metrics in changed(report):
        layers = [step["layer"] for step in metrics["path"]]
        assert layers == ["stem", "body", "mix"] or len(layers) > 1
        assert all(step["distance"] > 0 for step in metrics["path"])
        assert all(step["others"] > 0 for step in metrics["path"])
        (judge,) = metrics["judges"]
        assert judge["after"] == metrics["after"]
        assert judge["fooled"] is True  # the judge is the network itself
    assert report.manifest.table[0]["judge_fooled"] == 1


def test_a_finished_run_is_not_made_again_and_may_grow(run: Run) -> None:
    first = run(norm="l2")
    before = {file: (first.out / file).read_bytes() for file in first.manifest.units}
    again = run(norm=["l2", "linf"])
    assert again.made == 2
    assert all((again.out / file).read_bytes() == data for file, data in before.items())
    assert run(norm=["l2", "linf"]).made == 0


def test_what_is_not_reached_is_said(run: Run) -> None:
    report = run(target="channel:stem.0:3", above=1e6, steps=2)
    assert [metrics["reached"] for metrics in changed(report)] == [False, False]
    assert report.manifest.table[0]["median"] is None
    assert report.closing == "2 of 2 did not reach their goal: more steps may"
    assert json.loads((report.out / "manifest.json").read_text())["units"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--target channel:0:1", "target channel:0:1: a unit has no class to become"),
        ("--target logit:top", "is the class that is predicted already"),
        ("--norm l1", "norm: got 'l1'; expected l2 or linf"),
        ("--above 3", "above is given, but the target any has no value"),
        ("--target channel:0:1 --above 99%", "belong together"),
        ("--target channel:0:1 --above high", "above: got 'high'; expected a number"),
        ("--target channel:9:1 --above 3", "'9'"),
        ("--judge-weights x", "judge_weights is given but no judge"),
    ],
)
def test_bad_input_is_one_line(
    options: str, text: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    net = "nn.Sequential(nn.Conv2d(3, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))"
    (tmp_path / "nets.py").write_text(f"from torch import nn\n\ndef net():\n    return {net}\n")
    given = ["adversarial", "--model", "nets.py:net", "--size", "12", "--image", str(photos), *options.split()]
    assert main(given) == 2
    _, err = capsys.readouterr()
    assert text in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "adversarial" / "manifest.json").exists()


def test_the_page_shows_sizes_pictures_and_paths(run: Run, visit: Callable[..., Any]) -> None:
    report = run(target=["any", "cat"], norm=["l2", "linf"])
    page = visit(report.out / "index.html").page
    expect(page.locator("#summary tbody tr")).to_have_count(4)
    expect(page.locator("#charts .chart")).to_have_count(2)
    expect(page.locator(".copy")).to_have_count(8)
    expect(page.locator(".copy .line").first).to_be_attached()
    page.locator(".copy .shot").first.click()
    expect(page.locator("dialog.lightbox dl")).to_contain_text("Linf, 1/255")
    page.keyboard.press("Escape")
    page.locator("#query").fill("nowhere")
    expect(page.locator("#empty")).to_be_visible()


def test_the_files_fool_a_trained_network(squeezenet: Model, shared_data: Path, tmp_path: Path) -> None:
    photographs = [str(file) for file in sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[29:30]]
    options = {"model": squeezenet, "image": photographs, "steps": 2, "out": str(tmp_path / "out")}
    report = Adversarial(**options).run(None)
    for unit in report.requested:
        before, after = (read_picture(report.out / file) for file in (f"originals/{unit.image}.png", unit.file))
        assert top(squeezenet, before) != top(squeezenet, after)
        assert unit.metrics["l2"] < 1
        assert unit.metrics["before"][0]["index"] == top(squeezenet, before)
