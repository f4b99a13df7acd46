"""Priors of pictures with any number of channels: the statistics that stand in for measured ones, and the pictures."""

from collections.abc import Callable

import pytest
import torch

from inverter.augment import PRESETS
from priors import Cppn, DeepImage, Fourier, Maco, Pixels, Prior, Pyramid, measure, natural_statistics
from priors.dead_leaves import dead_leaves
from priors.statistics import LUMA, as_statistics

COUNTS = (1, 2, 3, 4, 8)
PRIORS: dict[str, Callable[[int], Prior]] = {
    "fourier": lambda channels: Fourier(2, (16, 12), image_channels=channels),
    "maco": lambda channels: Maco(2, (16, 12), image_channels=channels),
    "pyramid": lambda channels: Pyramid(2, (16, 12), image_channels=channels),
    "pixels": lambda channels: Pixels(2, (16, 12), image_channels=channels),
    "cppn": lambda channels: Cppn(2, (16, 12), depth=2, image_channels=channels),
    "deep-image": lambda channels: DeepImage(2, (16, 12), channels=(8,), bfloat16=False, image_channels=channels),
}


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("channels", COUNTS)
def test_pictures_have_the_channels_asked_for_and_keep_within_the_range(name: str, channels: int) -> None:
    prior = PRIORS[name](channels)
    prior.reset([torch.Generator().manual_seed(seed) for seed in (0, 1)])
    image = prior()
    assert image.shape == (2, channels, 16, 12)
    assert image.min() >= 0
    assert image.max() <= 1


@pytest.mark.parametrize("kind", [Fourier, Pixels, Pyramid])
@pytest.mark.parametrize("channels", COUNTS)
def test_a_start_at_an_image_has_its_channels(kind, channels: int) -> None:
    image = 0.1 + 0.8 * torch.rand(2, channels, 16, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (kind.from_image(image)() - image).abs().max() < 0.01


def test_grey_statistics_are_those_of_the_luminance_of_coloured_pictures() -> None:
    pictures = dead_leaves(24, 64, torch.Generator().manual_seed(0))
    grey = (pictures * torch.tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    coloured, expected = measure(list(pictures)), measure(list(grey))
    weights = torch.tensor(LUMA)
    share = weights @ coloured.color_basis()
    power = (share[:, None] * coloured.magnitude).norm(dim=0) / share.norm()
    assert torch.allclose(weights @ coloured.mean, expected.mean[0], atol=1e-5)
    assert torch.allclose(share.norm() ** 2, expected.covariance[0, 0], rtol=1e-3)
    assert (power.log() - expected.magnitude[0].log()).abs().max() < 0.25  # mean magnitudes, not mean powers


def test_channels_of_unknown_kinds_have_one_spectrum_each_and_do_not_correlate() -> None:
    grey, four = natural_statistics(1), natural_statistics(4)
    assert four.channels == 4
    assert torch.equal(four.covariance, grey.covariance * torch.eye(4))
    assert all(torch.equal(row, grey.magnitude[0]) for row in four.magnitude)
    assert natural_statistics(3) is natural_statistics(3)
    assert natural_statistics().channels == 3


@pytest.mark.parametrize("channels", [0, -1, 1.5])
def test_less_than_one_channel_is_refused(channels) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        natural_statistics(channels)


def test_statistics_of_another_number_of_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="of 1 channel, expected 3"):
        as_statistics(natural_statistics(1), 3)
    with pytest.raises(ValueError, match="each of 4 channels"):
        Pixels(1, 8, mean=(0.1, 0.2), image_channels=4)


@pytest.mark.parametrize("channels", COUNTS)
def test_noise_has_the_channels_of_the_pictures(channels: int) -> None:
    transform = PRESETS["wide"].prepare([torch.Generator().manual_seed(0)], (16, 16), 2, torch.device("cpu"), channels)
    assert transform(torch.full((1, channels, 16, 16), 0.5), 0).shape[:2] == (1, channels)
