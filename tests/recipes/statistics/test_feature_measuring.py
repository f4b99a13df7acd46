"""Feature statistics of pictures: what is measured, in however many parts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import BadInput, LayerNotFound, Model, load_model
from objectives import FeatureStatistics
from objectives.distributions import sorted_values
from recipes.activations.compared_layers import default_layers
from recipes.executors.progress import RunProgress
from recipes.statistics.feature_measuring import measure_features
from recipes.statistics.statistics import Statistics


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(20):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{index:02d}.png")
    (folder / "99.png").write_bytes(b"none")
    return folder


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Model(net.eval(), input_size=(16, 16))


def activations(model: Model, folder: Path, layer: str) -> torch.Tensor:
    pictures = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))[:20]]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    with torch.no_grad(), model.capture([layer]) as capture:
        return capture(model.normalize(images))[layer].double()


def test_the_numbers_are_those_of_torch(model: Model, folder: Path, tmp_path: Path) -> None:
    found, skipped = measure_features(model, str(folder), ["2", "0"], tmp_path / "work", ranks=7, covariance=True)
    assert list(found.layers) == ["0", "2"] and found.images == 20 and list(skipped) == ["99"]
    maps = activations(model, folder, "2")
    deviations, means = torch.std_mean(maps, (2, 3), correction=0)
    layer = found["2"]
    for value, expected in (
        (layer.mean, means.mean(0)),
        (layer.std, deviations.mean(0)),
        (layer.mean_spread, means.std(0, correction=0)),
        (layer.std_spread, deviations.std(0, correction=0)),
        (layer.sorted_values, sorted_values(maps, 7).mean(0)),
        (layer.covariance, means.T.cov()),
    ):
        torch.testing.assert_close(value, expected.float(), rtol=1e-3, atol=1e-5)
    assert not list(tmp_path.glob("work*"))


def test_an_interrupted_pass_resumes_and_gives_the_same(model: Model, folder: Path, tmp_path: Path) -> None:
    complete, _ = measure_features(model, str(folder), ["0"], tmp_path / "one")

    def stop(progress: RunProgress) -> None:
        if progress.done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_features(model, str(folder), ["0"], tmp_path / "other", progress=stop)
    begun = list[RunProgress]()
    found, _ = measure_features(model, str(folder), ["0"], tmp_path / "other", progress=begun.append)
    assert begun[0].finished >= 8
    for name, value in found["0"].tensors().items():
        assert torch.equal(value, complete["0"].tensors()[name])


def test_the_recipe_writes_them_for_nine_layers_through_the_depth(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "features.safetensors"
    report = Statistics(model="builtin", images=str(folder), source="noise", size=64, out=str(out)).run(None)
    found, model = FeatureStatistics.load(out), load_model("builtin")
    assert list(found.layers) == default_layers(model) and (found.images, found.size) == (20, (64, 64))
    assert (
        found.source == "noise" and report.closing is not None and report.closing.startswith("20 pictures measured, 1 ")
    )
    found.check(model.spec, model.sha256)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_the_default_layers_have_parameters(squeezenet: Model) -> None:
    assert default_layers(squeezenet) == [f"features.{i}" for i in (0, 3, 4, 5, 7, 8, 9, 10, 12)]


def test_bad_input_is_refused_in_one_line(model: Model, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="layers is of a network's features: set model"):
        Statistics(images=str(folder), layers="0", out="s.json")
    with pytest.raises(BadInput, match=r"written to a \.safetensors file"):
        Statistics(model="builtin", images=str(folder), out="s.json")
    with pytest.raises(LayerNotFound, match=r"features\.stem"):
        Statistics(
            model="builtin", images=str(folder), layers="features.steam", out=str(tmp_path / "s.safetensors")
        ).run(None)
    single = [str(folder / "00.png")]
    with pytest.raises(BadInput, match="at least two readable pictures"):
        measure_features(model, single, ["0"], tmp_path / "work")
