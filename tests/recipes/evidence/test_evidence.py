"""The evidence of a run: in manifest, table and summary, resumed and grown, with several judges."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inverter import Model
from recipes import Dictionary, Gallery
from recipes.evidence.appearance import appearance, slope
from recipes.evidence.verdict import failures, summary
from recipes.outputs.atomic import write_png
from recipes.outputs.manifest import Record
from recipes.runner.report import Report


@pytest.fixture
def made(tiny_net: nn.Module, tmp_path: Path) -> dict[str, Any]:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(12):
        write_png(photographs / f"{number}.png", torch.rand(3, 24, 24, generator=generator))
    model = Model(tiny_net, normalize=((0.4, 0.5, 0.6), (0.2, 0.2, 0.2)), input_size=(24, 24))
    layer = next(name for name, part in tiny_net.named_modules() if isinstance(part, nn.Conv2d))
    return {
        "model": model,
        "layer": layer,
        "channels": "0-3",
        "steps": 2,
        "images": str(photographs),
        "out": str(tmp_path / "out"),
        "precision": "float32",
    }


def test_all_evidence_is_in_the_manifest_and_in_the_table(made: dict[str, Any], tmp_path: Path) -> None:
    report = Gallery(**made, judge=["builtin", made["model"]]).run(None)
    for record in report.records:
        metrics = record.metrics
        for key in ("slope", "slope_distance", "burnt", "saturation", "two_patches builtin", "two_patches module"):
            assert isinstance(metrics[key], float)
        assert [step["layer"] for step in metrics["path"]][-1] == made["layer"]
        assert all(0 <= step["rank"] <= 1 for step in metrics["path"])
        assert isinstance(metrics["fails"], list)
    (row,) = report.manifest.table
    assert {"layer", "pictures", "above_99", "two_patches builtin", "two_patches module", "fools"} <= row.keys()
    assert "two_patches builtin" in (tmp_path / "out" / "units.csv").read_text().splitlines()[0]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["table"] == report.manifest.table


def test_a_grown_run_has_the_evidence_of_a_complete_one(made: dict[str, Any], tmp_path: Path) -> None:
    judged = made | {"judge": "builtin", "batch_size": 1}
    Gallery(**judged | {"channels": "0-1"}).run(None)
    grown = Gallery(**judged).run(None)
    complete = Gallery(**judged | {"out": str(tmp_path / "complete")}).run(None)
    assert _metrics(grown) == _metrics(complete)


def test_a_finished_run_is_not_measured_again(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first = Gallery(**made).run(None)
    monkeypatch.setattr("recipes.evidence.evidence.evidence", lambda *_: pytest.fail("measured again"))
    assert _metrics(Gallery(**made).run(None)) == _metrics(first)


def test_icons_of_a_photo_are_compared_with_its_patches(made: dict[str, Any], tmp_path: Path) -> None:
    photo = sorted((tmp_path / "photographs").glob("*.png"))[0]
    shared = {key: made[key] for key in ("model", "layer", "steps", "out", "precision")}
    recipe = Dictionary(**shared, image=str(photo), positions=["2,2", "15,15"], icon=16, judge="builtin")
    report = recipe.run(None)
    icons = [record for record in report.records if record.objective == "direction"]
    assert [record.metrics["patches"][0]["at"] for record in icons] == [[2, 2], [15, 15]]
    for record in report.records:
        assert ("two_patches" in record.metrics) == (record.objective != "original")
    assert report.manifest.table[0]["pictures"] == len(report.records) - 1


def _metrics(report: Report) -> Any:
    """As the manifest has them."""
    return json.loads(json.dumps([record.metrics for record in report.records]))


def test_white_noise_has_a_flat_spectrum_and_natural_slopes_are_found() -> None:
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(1, 128, 128, generator=generator)
    assert slope(noise) == pytest.approx(0, abs=0.1)
    frequency = torch.hypot(torch.fft.fftfreq(128)[:, None], torch.fft.rfftfreq(128)).clamp_min(1 / 256)
    pink = torch.fft.irfft2(torch.fft.rfft2(noise) * frequency**-1.4, (128, 128))
    assert slope(pink / pink.abs().max() / 2 + 0.5) == pytest.approx(-1.4, abs=0.15)
    assert slope(torch.full((3, 32, 32), 0.5)) == 0
    red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1).expand(3, 32, 32)
    assert appearance([red]) == [{"slope": 0.0, "burnt": 1.0, "saturation": 1.0}]


def test_what_fails_is_named() -> None:
    fine = {
        "percentile": 99.5,
        "two_patches": 0.9,
        "slope": -1.4,
        "burnt": 0.1,
        "saturation": 0.2,
        "path_departs": None,
    }
    assert failures(fine, 3, "max", ["judge"]) == []
    bad = {"percentile": 50.0, "two_patches": 0.5, "slope": 0.0, "burnt": 0.9, "saturation": 0.9, "path_departs": "a"}
    assert failures(bad, 3, "max", ["judge"]) == ["percentile", "two_patches", "path", "slope", "burnt", "saturation"]
    assert failures({"percentile": 0.5}, 3, "min", []) == []
    seen = {"judge a": [{"index": 1}], "judge b": [{"index": 2}, {"index": 3}]}
    assert failures(seen, 3, "max", ["judge a", "judge b"]) == []
    assert failures(seen, 4, "max", ["judge a", "judge b"]) == ["judges"]


def test_the_summary_has_shares() -> None:
    def record(channel: int, **metrics: Any) -> Record:
        return Record("conv", channel, "channel", 0, 0, f"{channel}.png", 1.0, 2, 0.1, "ok", metrics=metrics)

    records = [
        record(0, percentile=100.0, two_patches=1.0, fails=[]),
        record(1, percentile=98.0, two_patches=0.5, fails=["two_patches"]),
    ]
    expected = {"layer": "conv", "pictures": 2, "above_99": 0.5, "two_patches": 0.75, "fools": 0.5}
    assert summary(records, ["judge"]) == [expected]
