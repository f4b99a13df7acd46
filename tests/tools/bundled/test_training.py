"""Tiny trainings learn, resume to the same numbers, and leave complete files."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from inverter.sources.builtin import BuiltinNet
from tools.bundled.__main__ import main
from tools.bundled.chart import line_chart
from tools.bundled.corruptions import CORRUPTIONS
from tools.bundled.schedule import one_cycle
from tools.bundled.train_generator import GeneratorSettings, train_generator
from tools.bundled.train_network import NetworkSettings, augment, fold, save_network, train_network

NETWORK = NetworkSettings(steps=6, batch=8, per_class=2, plain=1, passes=1, sizes=((0.5, 32), (1.0, 48)), classes=8)
GENERATOR = GeneratorSettings(steps=4, batch=4, chunk=8, refine_from=0.5)


def numbers(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.float() for name, value in module.state_dict().items()}


def test_the_network_training_resumes_to_the_same_result(tmp_path: Path) -> None:
    straight, state = train_network(NETWORK, tmp_path / "a.pt", workers=0)
    train_network(NETWORK, tmp_path / "b.pt", workers=0, chunks=1)
    resumed, again = train_network(NETWORK, tmp_path / "b.pt", workers=0)
    assert [row[0] for row in state["history"]] == [row[0] for row in again["history"]] == [2, 4, 6]
    for name, value in numbers(straight).items():
        torch.testing.assert_close(numbers(resumed)[name], value, msg=name)


def test_the_generator_training_resumes_to_the_same_result(tmp_path: Path) -> None:
    straight, state = train_generator(GENERATOR, tmp_path / "a.pt", BuiltinNet, workers=0)
    train_generator(GENERATOR, tmp_path / "b.pt", BuiltinNet, workers=0, chunks=1)
    resumed, _ = train_generator(GENERATOR, tmp_path / "b.pt", BuiltinNet, workers=0)
    assert len(state["history"]) == 2 and state["history"][1][2] > 0  # the critic is used from half-way on
    for name, value in numbers(straight).items():
        torch.testing.assert_close(numbers(resumed)[name], value, msg=name)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    train_network(NETWORK, tmp_path / "a.pt", workers=0, chunks=1)
    with pytest.raises(ValueError, match=r"other settings \(seed\)"):
        train_network(replace(NETWORK, seed=1), tmp_path / "a.pt", workers=0)


def test_folding_keeps_the_function() -> None:
    torch.manual_seed(0)
    network = BuiltinNet(8, batch_norm=True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean)
    picture = torch.randn(2, 3, 64, 64)
    network.eval()
    with torch.inference_mode():
        torch.testing.assert_close(fold(network)(picture), network(picture), atol=1e-4, rtol=1e-4)


def test_the_rate_rises_falls_and_lands() -> None:
    rates = [one_cycle(step, 1000, rise=0.1, cycle=1.5, landing=0.5) for step in range(1001)]
    assert rates[0] == pytest.approx(0.04) and rates[150] == pytest.approx(1) == max(rates) and rates[-1] == 0
    assert rates[:150] == sorted(rates[:150]) and rates[150:] == sorted(rates[150:], reverse=True)


def test_augmenting_keeps_range_and_depends_on_its_generator() -> None:
    picture = torch.rand(4, 3, 16, 16)
    one, again, other = (augment(picture, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert float(one.min()) >= 0 and float(one.max()) <= 1


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_corruptions_change_pictures_within_range(name: str) -> None:
    picture = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    damaged = CORRUPTIONS[name](picture, torch.Generator().manual_seed(0))
    assert damaged.shape == picture.shape and float(damaged.min()) >= 0 and float(damaged.max()) <= 1
    assert float((damaged - picture).abs().mean()) > 0.01


def test_storing_leaves_weights_record_and_curve(tmp_path: Path) -> None:
    settings = replace(NETWORK, classes=56, steps=1, batch=56)
    network, state = train_network(settings, tmp_path / "c.pt", workers=0)
    out = tmp_path / "tiny.safetensors"
    record = save_network(network, state, out, tmp_path / "curve.png", count=56)
    stored = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert stored["measured"] == record["measured"] and stored["settings"]["classes"] == 56
    assert hashlib.sha256(out.read_bytes()).hexdigest() == stored["sha256"]
    assert record["bytes"] == out.stat().st_size and len(record["measured"]["top1_corrupted"]) == len(CORRUPTIONS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.pt", "curve.png", "tiny.json", "tiny.safetensors"]


def test_the_contact_sheet_is_drawn(tmp_path: Path) -> None:
    assert main(["contact-sheet", "--out", str(tmp_path / "new" / "world.jpg")]) == 0
    assert (tmp_path / "new" / "world.jpg").stat().st_size > 10_000


def test_a_wrong_command_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "c.pt"
    torch.save({"settings": {}, "chunk": 0}, bad)
    assert main(["train-network", "--out", str(tmp_path / "x.safetensors"), "--checkpoint", str(bad)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "other settings" in error


@pytest.mark.parametrize("arguments", [["--steps", "0"], ["--threads", "-1"], ["--pictures", "0"]])
def test_impossible_arguments_are_refused_at_once(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-generator", *arguments]) == 2
    assert f"{arguments[0]} must be at least 1, got {arguments[1]}" in capsys.readouterr().err


def test_a_chart_needs_points() -> None:
    assert line_chart("loss", {"a": [(0, 1.0), (1, 0.5)]}, "steps").size == (840, 420)
    with pytest.raises(ValueError, match="no points to draw"):
        line_chart("loss", {"a": []}, "steps")
