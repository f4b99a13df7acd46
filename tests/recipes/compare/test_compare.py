"""`inverter compare`: tables, matches, resuming, errors; and on a trained network, what depth does to equivariance."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect
from torch import nn

from inverter import Model, load_model
from recipes import Compare
from recipes.cli.entry import main
from recipes.runner.report import Report

Run = Callable[..., Report]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixteen pictures of soft colours, and one that cannot be read."""
    place = tmp_path / "photos"
    place.mkdir()
    for seed in range(16):
        small = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((24, 24), Image.Resampling.BICUBIC).save(place / f"{seed:02d}.png")
    (place / "bad.png").write_bytes(b"no")
    return place


def mirrored(net: nn.Conv2d) -> nn.Conv2d:
    """A layer whose second half of channels is the mirror image of the first."""
    with torch.no_grad():
        half = len(net.weight) // 2
        net.weight[half:] = net.weight[:half].flip(3)
        net.bias[half:] = net.bias[:half]
    return net


@pytest.fixture
def net() -> Model:
    torch.manual_seed(3)
    layers = mirrored(nn.Conv2d(3, 8, 3, padding=1)), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(8, 6, 3, padding=1)
    return load_model(nn.Sequential(*layers), input_size=24, normalize="none")


@pytest.fixture
def run(net: Model, folder: Path, tmp_path: Path) -> Run:
    def made(**options: Any) -> Report:
        usual = {"model": net, "layer": ["0", "3"], "images": str(folder), "out": str(tmp_path / "out"), "warp": "none"}
        return Compare(**(usual | options)).run(None)

    return made


def rows(report: Report, key: str) -> list[dict[str, Any]]:
    return [row for row in report.manifest.table if key in row]


def test_layers_of_one_network_are_compared(run: Run) -> None:
    report = run(layer=["0", "1", "3"], positions=8)
    pairs = {(row["layer"], row["other"]): row for row in rows(report, "other")}
    assert list(pairs) == [("0", "1"), ("0", "3"), ("1", "3")]
    near, far = pairs["0", "1"], pairs["0", "3"]
    assert 1 > near["cka_debiased"] > far["cka_debiased"]
    assert near["explained"] > far["explained"]
    assert all(0 < row["cka"] <= 1 and 0 <= row["mutual"] <= 1 for row in pairs.values())
    assert list(report.skipped) == ["bad"]
    assert report.page and report.page.is_file()


def test_a_mirrored_layer_follows_a_flip_by_a_permutation_of_its_channels(run: Run) -> None:
    flip, turn = rows(run(layer="0", warp=["hflip", "rotate:90"], positions=200), "warp")
    assert flip["error"] < 1e-3 < 0.1 < flip["identity"] < flip["baseline"]
    assert turn["error"] > 0.02
    assert (flip["layer"], flip["warp"], turn["warp"]) == ("0", "hflip", "rotate:90")


def test_neighbours_predict_more(run: Run, tmp_path: Path) -> None:
    options = {"layer": "3", "warp": "hflip", "positions": 100}
    (alone,) = rows(run(**options), "warp")
    (around,) = rows(run(**options, neighbourhood=3, out=str(tmp_path / "other")), "warp")
    assert around["error"] < alone["error"]
    assert around["identity"] == pytest.approx(alone["identity"], rel=1e-5)


def test_matching_units_of_two_networks_are_the_permuted_ones(run: Run, net: Model) -> None:
    order = torch.tensor([5, 1, 3, 0, 2, 4])
    twin = nn.Sequential(*net.module[:3], nn.Conv2d(8, 6, 3, padding=1))
    with torch.no_grad():
        twin[3].weight.copy_(net.module[3].weight[order])
        twin[3].bias.copy_(net.module[3].bias[order])
    both = {"a": net, "b": load_model(twin, input_size=24, normalize="none")}
    report = run(model=both, layer=["a:3", "b:3"], matches=9, count=2)
    (row,) = report.manifest.table
    assert (row["cka"], row["explained"], row["match"], row["mutual"]) == pytest.approx((1, 1, 1, 1), abs=1e-4)
    found = {(unit.channel, unit.metrics["other_channel"]) for unit in report.records}
    assert found == {(channel, place) for place, channel in enumerate(order.tolist())}
    unit = report.records[0]
    assert unit.score == pytest.approx(1, abs=1e-5)
    assert unit.metrics["most"] == unit.metrics["other_most"]
    with Image.open(report.out / unit.file) as picture:
        assert picture.size == (2 * 64, 2 * 64)
        pixels = np.asarray(picture)
    np.testing.assert_array_equal(pixels[:64], pixels[64:])


def test_a_pooled_comparison_has_one_row_for_each_picture(run: Run) -> None:
    report = run(pooled=True, matches=0)
    assert np.load(report.out / "activations/plain/0/vectors.npy").shape == (16, 1, 8)
    assert 0 < rows(report, "other")[0]["cka"] < 1
    assert report.records == []


def test_a_finished_comparison_is_not_made_again(run: Run) -> None:
    first = run(warp="hflip")
    stamps = {path: path.stat().st_mtime_ns for path in first.out.rglob("*.npy")}
    assert first.made > 0
    again = run(warp="hflip")
    assert (again.made, again.manifest.table) == (0, first.manifest.table)
    assert stamps == {path: path.stat().st_mtime_ns for path in first.out.rglob("*.npy")}
    written = json.loads((first.out / "manifest.json").read_text())
    assert written["planned"] == len(written["units"]) > 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--layer 0 --layer 3 --warp flip", "warp 'flip': expected hflip"),
        ("--layer 0 --warp none", "got '0' alone and no warp"),
        ("--layer 0 --layer 9", "'9'"),
        ("--layer 0 --layer 3 --neighbourhood 2", "neighbourhood must be 1 or 3, got 2"),
        ("--layer 0 --layer 3 --positions 0", "positions must be an integer of at least 1"),
        ("--layer 0 --warp scale:4 --images few", "got 2 pictures to compare on; expected at least 8"),
        ("--layer a:0 --layer b:0", "'a:0'"),
    ],
)
def test_bad_input_is_one_line(
    options: str, text: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    photos.rename(tmp_path / "few")
    net = "nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)])"
    (tmp_path / "nets.py").write_text(f"from torch import nn\n\ndef net():\n    return {net}\n")
    given = ["compare", "--model", "nets.py:net", "--size", "12", *options.split()]
    assert main([*given, *([] if "--images" in options else ["--images", "few"])]) == 2
    _, err = capsys.readouterr()
    assert text in err
    assert len(err.strip().splitlines()) == 1


def test_the_page_shows_tables_charts_and_patches(run: Run, visit: Callable[..., Any]) -> None:
    report = run(layer=["0", "1", "3"], warp="hflip", count=3)
    page = visit(report.out / "index.html").page
    expect(page.locator("#pairs tbody tr")).to_have_count(3)
    expect(page.locator("#warped tbody tr")).to_have_count(3)
    expect(page.locator("#heat .cell")).to_have_count(9)
    expect(page.locator("#charts .line")).to_have_count(3)
    expect(page.locator(".matches .shot").first).to_be_visible()
    page.locator(".matches .shot").first.click()
    expect(page.locator("dialog.lightbox dl")).to_contain_text("Correlation")
    page.keyboard.press("Escape")
    page.locator("#query").fill("nowhere")
    expect(page.locator("#empty")).to_be_visible()


def test_a_trained_network_follows_a_flip_less_the_deeper_it_is(
    squeezenet: Model, shared_data: Path, tmp_path: Path
) -> None:
    photographs = sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::8]
    report = Compare(
        model=squeezenet,
        images=list(map(str, photographs)),
        layer=["features.3", "features.9"],
        warp="hflip",
        size=99,
        positions=36,
        matches=0,
        out=str(tmp_path / "out"),
    ).run(None)
    early, late = rows(report, "warp")
    assert early["error"] < late["error"] < 1
    assert early["error"] < 0.5 * early["identity"]
    assert late["error"] < late["identity"] < late["baseline"]
