"""A unit of a really trained network that is dead: a channel whose weights and bias were pruned to zero."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from inverter import Model
from recipes import Gallery, Patches

LAYER, DEAD = "features.9", 19
"""Channel 19 of the 1x1 expansion of SqueezeNet 1.0's features.9 in the test data."""


@pytest.fixture
def photographs_folder(shared_data: Path, tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for file in sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::130]:
        (tmp_path / "photos" / file.name).symlink_to(file)
    return tmp_path / "photos"


def test_it_is_silent_after_a_second_attempt_and_the_page_lists_it_last(
    squeezenet: Model, tmp_path: Path, visit: Callable[..., Any]
) -> None:
    convolution = squeezenet.module.get_submodule(f"{LAYER}.expand1x1")
    assert not convolution.weight[DEAD].any()
    assert convolution.bias[DEAD] == 0
    report = Gallery(
        model=squeezenet, layer=LAYER, channels=f"{DEAD - 1}-{DEAD + 1}", size=96, steps=8, out=str(tmp_path / "out")
    ).run(None)
    assert {record.channel: record.status for record in report.records} == {18: "ok", 19: "silent", 20: "ok"}
    (silent,) = report.silent
    assert (silent.score, silent.metrics["tries"]) == (0, 2)
    assert report.failed == []
    assert report.closing == "1 picture is of a silent unit, which no picture made active: features.9/19"
    page = visit(tmp_path / "out/index.html").page
    expect(page.locator("body")).to_contain_text("1 unit is silent: no picture activated it.")
    expect(page.locator(".unit .what")).to_have_text(["18", "20", "19"])


def test_patches_call_it_silent_and_no_error(squeezenet: Model, photographs_folder: Path, tmp_path: Path) -> None:
    report = Patches(
        model=squeezenet, layer=LAYER, channels=f"{DEAD},{DEAD + 1}", images=str(photographs_folder), count=2, size=96,
        out=str(tmp_path / "out"),
    ).run(None)  # fmt: skip
    assert {record.channel: record.status for record in report.records} == {19: "silent", 20: "ok"}
    assert report.failed == []
    assert report.manifest.table[0]["silent"] == 1
    assert report.skipped == {}
