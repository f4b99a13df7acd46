"""The Fourier basis: 1 / f amplitudes and natural colours, for sides of any parity."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from priors import Fourier
from priors.color import decorrelate, from_image
from priors.fourier import frequency_scale
from priors.statistics import natural_statistics

sides = st.integers(1, 17)


@given(sides, sides)
def test_scale_falls_as_one_over_the_frequency_in_cycles_per_pixel(height: int, width: int) -> None:
    scale = frequency_scale(height, width, decay=1)
    assert scale.shape == (height, width // 2 + 1)
    assert scale[0, 0].item() == pytest.approx(
        max(height, width)
    )  # a constant counts as one cycle over the longer side
    if width > 1:
        assert scale[0, 1].item() == pytest.approx(width)
    if height > 2:
        assert scale[1, 0].item() == pytest.approx(height)
        assert torch.allclose(scale[1:, 0], scale[1:, 0].flip(0))  # a frequency and its mirror image are alike


@given(sides, sides, st.floats(0, 2))
def test_decay_is_the_exponent(height: int, width: int, decay: float) -> None:
    assert torch.allclose(frequency_scale(height, width, decay), frequency_scale(height, width, 1) ** decay, rtol=1e-4)


@given(sides, sides)
def test_any_image_survives_the_way_there_and_back(height: int, width: int) -> None:
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * 31 + width)) * 0.9 + 0.05
    assert torch.allclose(Fourier.from_image(image)(), image, atol=2e-4)


def test_it_starts_almost_flat_grey_and_wider_spread_is_more_contrast() -> None:
    contrast = []
    for spread in (0.01, 0.1, 1.0):
        prior = Fourier(1, 32, spread=spread)
        prior.reset([torch.Generator().manual_seed(1)])
        contrast.append(prior().std().item())
    assert contrast[0] < 0.03
    assert contrast[0] < contrast[1] < contrast[2]


def test_higher_decay_is_smoother() -> None:
    def roughness(decay: float) -> float:
        prior = Fourier(1, 64, decay=decay, spread=0.05)
        prior.reset([torch.Generator().manual_seed(1)])
        image = prior().detach()
        return ((image[..., 1:] - image[..., :-1]).std() / image.std()).item()

    assert roughness(0.5) > roughness(1.0) > roughness(1.5)


def test_colours_are_correlated_as_in_natural_images() -> None:
    prior = Fourier(8, 32, spread=0.1)
    prior.reset([torch.Generator().manual_seed(seed) for seed in range(8)])
    channels = torch.logit(prior().detach()).transpose(0, 1).flatten(1)
    correlation = torch.corrcoef(channels)
    assert correlation[0, 1] > 0.8  # red and green
    assert correlation[1, 2] > 0.8  # green and blue
    independent = decorrelate(channels.reshape(1, 3, 1, -1), prior.basis)[0, :, 0]
    assert torch.corrcoef(independent).triu(1).abs().max() < 0.3


def test_a_start_from_an_image_takes_the_constructors_options() -> None:
    image = torch.rand(1, 3, 8, 8) * 0.9 + 0.05
    prior = Fourier.from_image(image, decay=0.5)
    assert torch.allclose(prior(), image, atol=1e-4)
    assert torch.equal(prior.scale, Fourier(1, 8, decay=0.5).scale)


def test_the_state_holds_what_was_optimised_and_not_the_constants() -> None:
    state = Fourier(1, 8).state_dict()
    assert "coefficients" in state
    assert not {"basis", "scale"} & set(state)


def test_a_picture_may_start_from_the_natural_mean_colour_and_take_on_no_cast() -> None:
    free, held = (Fourier(1, 32, spread=1.0, natural_mean=True, cast=cast) for cast in (1.0, 1e-3))
    for prior in (free, held):
        prior.reset([torch.Generator().manual_seed(1)])
    mean = natural_statistics().mean
    assert torch.allclose(Fourier(1, 32, natural_mean=True)()[0].mean((1, 2)), mean, atol=1e-4)
    assert torch.allclose(Fourier(1, 32)(), torch.full((1, 3, 32, 32), 0.5))
    colors, plain = (decorrelate(from_image(prior().detach()) - prior.mean, prior.basis) for prior in (held, free))
    assert float(colors[:, 1:].mean((2, 3)).abs().max()) < 1e-2 * float(plain[:, 1:].mean((2, 3)).abs().max())
    low, fine = (torch.fft.rfft2(each, norm="ortho").abs() for each in (colors, plain))
    ratio = low / fine  # the soft limit, the same for all, but for what is held
    assert float(ratio[0, 1:, :2, :2].max()) < 1e-2 * float(ratio[0, 0, 0, 0])
    assert torch.allclose(ratio[0, 1:, 3:9, 3:9], ratio[0, 0, 0, 0].expand(2, 6, 6), rtol=1e-2)


@given(sides, sides)
def test_any_image_survives_with_the_natural_mean(height: int, width: int) -> None:
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * 31 + width)) * 0.9 + 0.05
    assert torch.allclose(Fourier.from_image(image, natural_mean=True, cast=0.1)(), image, atol=5e-4)


def test_a_cast_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="cast must be above 0"):
        Fourier(1, 8, cast=0.0)
