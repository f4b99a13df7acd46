"""An atlas of a really trained network of grey pictures, LeNet-5 on digits."""

from pathlib import Path
from statistics import fmean

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from inverter import load_model, receptive_fields
from inverter.result import to_pil
from recipes import Atlas
from tests.shared_networks import mnist_lenet5


@pytest.fixture
def digits(shared_data: Path, tmp_path: Path) -> Path:
    """48 digits drawn by a trained generator."""
    generator = nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 784), nn.Tanh()
    )
    generator.load_state_dict(load_file(shared_data / "weights" / "mnist_gan_mlp.safetensors"))
    with torch.no_grad():
        drawn = generator(torch.randn(48, 64, generator=torch.Generator().manual_seed(0)))
    (tmp_path / "digits").mkdir()
    for index, digit in enumerate((drawn.view(-1, 1, 28, 28) + 1) / 2):
        to_pil(digit).save(tmp_path / "digits" / f"{index:02d}.png")
    return tmp_path / "digits"


def test_an_atlas_of_a_grey_network_is_grey_and_faithful(shared_data: Path, digits: Path, tmp_path: Path) -> None:
    module = mnist_lenet5()
    module.load_state_dict(load_file(shared_data / "weights" / "mnist_lenet5.safetensors"))
    model = load_model(module, input_size=32, device="cpu")
    assert (model.mean, model.std) == ((0.0,), (1.0,))
    recipe = Atlas(
        model=model, images=str(digits), layer="relu3", layout="tsne", positions=6, grid=2, min_members=2, steps=16,
        icon=48, out=str(tmp_path / "atlas"),
    )  # fmt: skip
    report = recipe.run(None)
    for record in report.records:
        with Image.open(report.out / record.file) as icon:
            assert (icon.mode, icon.size) == ("L", (48, 48))
    assert fmean(record.metrics["cosine"] for record in report.records) > 0.6
    assert (report.out / "atlas-2.png").is_file()


def test_a_receptive_field_needs_no_head_that_takes_pictures_of_this_size() -> None:
    model = load_model(mnist_lenet5(), input_size=32)
    fields = receptive_fields(model, ["relu3"], (96, 96))
    assert fields == receptive_fields(model, ["relu3"], (32, 32))
    with pytest.raises(ValueError, match="cannot process a picture of 96x96 pixels"):
        receptive_fields(model, ["f7"], (96, 96))


@pytest.mark.parametrize(("name", "mean"), [(None, 0.0), ("none", 0.0), ("half", 0.5)])
def test_names_of_normalisations_are_of_one_channel_too(name: str | None, mean: float) -> None:
    assert load_model(mnist_lenet5(), normalize=name, input_size=32).mean == (mean,)
    assert len(load_model(nn.Sequential(nn.Conv2d(3, 2, 1)), normalize=name, input_size=32).mean) == 3
