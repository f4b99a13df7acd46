"""`inverter learn-directions`: the file that it writes, its table, interruptions, and bad input."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import BadInput, Directions, Model, load_model
from recipes import LearnDirections
from recipes.activations.forward_pass import ForwardPass
from recipes.cli import main
from recipes.executors.progress import RunProgress


@pytest.fixture
def model() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), nn.ReLU())
    return load_model(net, input_size=32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for seed in range(6):
        small = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{seed}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "photos"


@pytest.fixture
def learning(model: Model, folder: Path, tmp_path: Path) -> Callable[..., LearnDirections]:
    known = {"images": str(folder), "layer": "1", "out": str(tmp_path / "sae.safetensors"), "held_out": 3}
    return lambda **options: LearnDirections(model=model, **(known | options))


SAE = {"count": 16, "k": 2, "steps": 6, "batch_size": 32}


def test_it_writes_directions_of_the_network_and_a_table(
    learning: Callable[..., LearnDirections], model: Model, tmp_path: Path
) -> None:
    report = learning(**SAE).run(None)
    found = Directions.load(report.files["directions"])
    assert (found.count, found.channels, found.layer, found.gate, found.k) == (16, 12, "1", "topk", 2)
    found.check(model.spec, model.sha256)
    assert list(report.skipped) == ["broken"]
    first, second = report.manifest.table
    assert first.keys() == {"seed", "explained_variance", "where_learnt", "active", "dead", "stability"}
    assert (first["seed"], second["seed"]) == (0, 1) and first["active"] <= 2 and 0 < first["stability"] < 1
    assert report.closing is not None and report.closing.startswith("on 2 held-out pictures 16 directions explain")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "sae.safetensors", "sae.safetensors.training"]
    again = learning(**SAE).run(None)
    assert again.manifest.table == report.manifest.table and again.closing == report.closing


@pytest.mark.parametrize("at", [3, 8])  # while the first set is learnt, and while the second is
def test_what_is_learnt_is_kept_when_it_is_stopped_and_the_same_call_continues(
    learning: Callable[..., LearnDirections], tmp_path: Path, at: int
) -> None:
    def stop(update: RunProgress) -> None:
        if update.noun == "step" and update.done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learning(**SAE).run(stop)
    assert Directions.load(tmp_path / "sae.safetensors").count == 16
    seen = list[RunProgress]()
    report = learning(**SAE).run(seen.append)
    steps = [update for update in seen if update.noun == "step"]
    assert steps[0].done == 0 and steps[0].finished == at
    assert steps[-1].done == steps[-1].units == 12 - at
    other = learning(**SAE, out=str(tmp_path / "other.safetensors")).run(None)
    assert report.manifest.table == other.manifest.table
    one, two = (Directions.load(each.files["directions"]) for each in (report, other))
    assert torch.equal(one.decoder, two.decoder)


def test_other_methods_use_the_same_activations(
    learning: Callable[..., LearnDirections], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    kept = str(tmp_path / "activations")
    for method in ("nmf", "pca"):
        out = str(tmp_path / f"{method}.safetensors")
        report = learning(method=method, count=4, out=out, activations=kept).run(None)
        assert Directions.load(out).method == method
        assert 0.3 < report.manifest.table[0]["explained_variance"] <= 1
        monkeypatch.setattr(ForwardPass, "at", None)  # the second method reads no picture


def test_tokens_are_learnt_from_like_maps(folder: Path, tmp_path: Path) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.norm = nn.Conv2d(3, 8, 8, stride=8), nn.LayerNorm(8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.patch(x).flatten(2).mT).mean(1)

    model = load_model(Tokens(), input_size=32)
    options = SAE | {"images": str(folder), "layer": "norm", "out": str(tmp_path / "sae.safetensors"), "seeds": 1}
    report = LearnDirections(model=model, positions=5, **options).run(None)
    assert Directions.load(tmp_path / "sae.safetensors").channels == 8
    assert "stability" not in report.manifest.table[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"method": "tsne"}, "unknown method 'tsne'"),
        ({"out": "one.pt"}, "directions are kept in a .safetensors file, got 'one.pt'"),
        ({"count": 8, "k": 8}, "k 8: expected fewer active latents than the 8"),
        ({"method": "pca", "k": 3}, "k is of a sparse autoencoder: leave it out with method pca"),
        ({"positions": "many"}, "positions must be an integer"),
        ({"held_out": 1}, "held_out must be an integer of at least 2"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"layer": "0", "method": "nmf", "count": 2}, "activations below 0"),
        ({"method": "pca", "count": 40}, "count 40: pca finds at most 12 directions"),
    ],
)
def test_bad_input_is_refused(learning: Callable[..., LearnDirections], options: dict[str, Any], error: str) -> None:
    with pytest.raises(BadInput, match=error):
        learning(**options).run(None)


def test_other_settings_and_other_files_are_refused(learning: Callable[..., LearnDirections], tmp_path: Path) -> None:
    learning(**SAE, seeds=1).run(None)
    with pytest.raises(BadInput, match=r"trained with other settings \(k\): give those, another out, or fresh"):
        learning(**(SAE | {"k": 3}), seeds=1).run(None)
    assert Directions.load(learning(**(SAE | {"k": 3}), seeds=1, fresh=True).run(None).files["directions"]).k == 3
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    with pytest.raises(BadInput, match="exists, without the state of its training"):
        learning(**SAE, out=str(tmp_path / "mine.safetensors")).run(None)


def test_the_command_prints_the_table(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sae.safetensors"
    options = ["--count", "16", "--k", "2", "--steps", "3", "--positions", "20", "--device", "cpu"]
    command = ["learn-directions", "--layer", "features.stage1", "--images", str(folder), "--out", str(out)]
    assert main([*command, *options]) == 0
    printed = capsys.readouterr().out
    assert "explained variance" in printed and "stability" in printed and "16 directions explain" in printed
    assert Directions.load(out).model == "builtin"
