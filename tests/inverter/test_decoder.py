"""A decoder's guess: the picture itself for a linear network, and close to it for a trained network."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, encode
from inverter.decoder import Decoder
from priors.dead_leaves import dead_leaves


def nearness(images: Tensor, originals: Tensor) -> float:
    """Mean PSNR in dB."""
    return float(-10 * (images - originals).square().flatten(1).mean(1).log10().mean())


def test_colours_in_a_code_are_recovered() -> None:
    """A network that averages squares and mixes their colours loses only what is finer than a square."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(3, 6, 1))
    pictures = dead_leaves(4, (32, 48), torch.Generator().manual_seed(1))
    guess = Decoder.fit(network, "1", (32, 48))(encode(network, pictures, "1")["1"], (32, 48))
    assert guess.shape == pictures.shape
    assert bool(((guess >= 0) & (guess <= 1)).all())
    assert nearness(F.avg_pool2d(guess, 4), F.avg_pool2d(pictures, 4)) > 24
    shuffled = pictures.roll(1, 0)
    assert nearness(F.avg_pool2d(guess, 4), F.avg_pool2d(shuffled, 4)) < 15


def test_fitting_is_reproducible(tiny_net: nn.Module) -> None:
    one, other = (Decoder.fit(tiny_net, "body", (12, 10)) for _ in range(2))
    for name in ("components", "weight", "bias"):
        assert torch.equal(getattr(one, name), getattr(other, name))


def test_dead_channels_and_constant_codes_are_no_trouble() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    nn.init.zeros_(network[0].weight)  # type: ignore[arg-type]
    guess = Decoder.fit(network, "1", (8, 8))(encode(network, torch.rand(2, 3, 8, 8), "1")["1"], (8, 8))
    assert bool(guess.isfinite().all())


def test_a_vector_has_no_positions_to_guess_at() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    with pytest.raises(ValueError, match=r"a decoder needs a map \(B, C, h, w\), but layer '1' outputs \(1, 144\)"):
        Decoder.fit(network, "1", (8, 8))


def test_guesses_from_squeezenet_are_better_than_the_mean_colour(squeezenet: Model, photographs: Tensor) -> None:
    photographs = F.interpolate(photographs[:6], (160, 160), mode="area")
    size = (160, 160)
    guess = Decoder.fit(squeezenet, "features.7", size)(
        encode(squeezenet, photographs, "features.7")["features.7"], size
    )
    flat = photographs.mean((2, 3), keepdim=True).expand_as(photographs)
    assert nearness(guess, photographs) > nearness(flat, photographs) + 3
