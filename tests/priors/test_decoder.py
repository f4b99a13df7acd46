"""The prior of a natural decoder: the file's structure is recognised, and pictures start from photographs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from inverter import Settings, load_model, optimize
from inverter_errors import BadInput
from objectives import code
from priors import Decoder
from priors.tiny_autoencoder import tiny_autoencoder, tiny_decoder
from recipes.options.priors import PriorChoice


def net(channels: int = 4, colours: int = 3) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(channels, colours * 16, 3, padding=1), nn.PixelShuffle(4), nn.Sigmoid())


def test_photographs_come_back_from_the_shared_autoencoder(shared_data: Path, photographs: Tensor) -> None:
    file = str(shared_data / "weights" / "taef2.safetensors")
    images = photographs[:2, :, :100, :]  # no multiple of the stride
    prior = PriorChoice("decoder", {"weights": file}).at(images)
    with torch.no_grad():
        psnr = -10 * (prior() - images).square().flatten(1).mean(1).log10()
    assert psnr.min() > 24
    assert prior().shape == images.shape
    natural = prior.latents().square().mean((1, 2, 3)).sqrt()
    assert bool(((natural > 0.6) & (natural < 1.0)).all())


def test_it_draws_within_the_limit_of_its_latents_and_grey_at_the_start(shared_data: Path) -> None:
    state = load_file(shared_data / "weights" / "taef2.safetensors")
    decoder, encoder = tiny_autoencoder(state, "taef2")
    assert encoder is not None
    prior = Decoder(1, (40, 48), decoder, limit=0.9)
    prior.reset([torch.Generator().manual_seed(0)])
    with torch.no_grad():
        assert prior().std() < 0.1
        prior.coefficients.mul_(1000)
        assert float(prior.latents().square().mean().sqrt()) == pytest.approx(0.9, abs=1e-3)


def test_optimising_it_matches_a_code_that_its_decoder_can_draw() -> None:
    model = load_model(nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU()), input_size=24)
    goal = Decoder(1, 24, net(), spread=1.0, bfloat16=False)
    goal.reset([torch.Generator().manual_seed(5)])
    with torch.no_grad():
        target = model.module(model.normalize(goal()))
    prior = Decoder(1, 24, net(), bfloat16=False)
    found = optimize(model, code("1", target), prior, Settings(steps=80, learning_rate=0.1), "none")
    assert found.scores[0] > 0.3 * float(found.history[0, 0])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"decoder": None}, "prior decoder requires a decoder: decoder:weights=FILE"),
        ({"decoder": nn.Sequential(nn.Linear(3, 3))}, "has no convolution: set latents"),
        (
            {"decoder": net(colours=1)},
            r"outputs shape \(1, 1, 8, 8\) for a latent map of 2x2, expected \(1, 3, 2 s, 2 s\)",
        ),
        ({"latents": 5}, r"does not read latent maps \(B, 5, h, w\)"),
        ({"limit": 0.0}, "limit must be above 0"),
        ({"overshoot": -1.0}, "overshoot must be >= 0"),
        ({"image_channels": 1}, "draws pictures of 3 channels, and 1 are required"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: str) -> None:
    with pytest.raises(BadInput, match=error):
        Decoder(**({"size": 16, "decoder": net()} | options))


def test_a_decoder_without_an_encoder_starts_from_no_image() -> None:
    with pytest.raises(BadInput, match="this decoder has no encoder"):
        Decoder.from_image(torch.rand(1, 3, 16, 16), decoder=net())


def test_files_are_recognised_by_the_names_of_their_tensors(tmp_path: Path) -> None:
    plain = tiny_decoder(4, pooled=False)  # as TAESD and TAEF1 are
    save_file({f"decoder.{name}": value for name, value in plain.state_dict().items()}, tmp_path / "plain.safetensors")
    prior = PriorChoice.parse(f"decoder:weights={tmp_path}/plain.safetensors,limit=.8").make(1, (16, 16), _colour())
    assert isinstance(prior, Decoder)
    assert prior.coefficients.shape[1] == 4
    assert prior.encoder is None
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(BadInput, match="holds no tiny autoencoder"):
        PriorChoice.parse(f"decoder:weights={tmp_path}/other.safetensors").make(1, (16, 16), _colour())
    wrong = {f"decoder.{name}": value for name, value in plain.state_dict().items() if "19" not in name}
    save_file(wrong, tmp_path / "wrong.safetensors")
    with pytest.raises(BadInput, match="does not fit a tiny autoencoder's decoder"):
        PriorChoice.parse(f"decoder:weights={tmp_path}/wrong.safetensors").make(1, (16, 16), _colour())


def _colour() -> Any:
    return load_model(nn.Conv2d(3, 2, 3), input_size=16)
