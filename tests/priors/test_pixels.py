"""Pixels: free parameters that never leave [0, 1], with any of three penalties."""

import pytest
import torch

from priors import Pixels, alpha_norm, l2, natural_statistics, total_variation
from priors.pixels import gaussian_blur


def test_pixels_are_the_parameters_themselves() -> None:
    image = torch.rand(2, 3, 5, 4)
    assert torch.equal(Pixels.from_image(image).pixels, image)


def test_projection_brings_pixels_back_into_the_range_and_moves_no_other() -> None:
    prior = Pixels.from_image(torch.full((1, 3, 1, 3), 0.5))
    with torch.no_grad():
        prior.pixels[0, 0, 0] = torch.tensor([-0.5, 0.25, 1.5])
    prior.project(0)
    assert prior().detach()[0, 0, 0].tolist() == [0, 0.25, 1]
    assert prior().detach()[0, 1, 0].tolist() == [0.5, 0.5, 0.5]


def test_a_fresh_start_is_noise_of_the_given_spread_around_grey() -> None:
    prior = Pixels(1, 64, spread=0.1)
    prior.reset([torch.Generator().manual_seed(0)])
    assert prior().mean().item() == pytest.approx(0.5, abs=0.01)
    assert prior().std().item() == pytest.approx(0.1, rel=0.05)
    flat = Pixels(1, 8, spread=0)
    flat.reset([torch.Generator()])
    assert flat().unique().tolist() == [0.5]


def test_the_energy_is_the_weighted_sum_of_the_penalties() -> None:
    image = torch.rand(2, 3, 6, 6)
    prior = Pixels(2, 6, l2=2, alpha_norm=3, total_variation=5, alpha=4, beta=1)
    by_hand = 2 * l2(image) + 3 * alpha_norm(image, 4) + 5 * total_variation(image, 1)
    assert torch.allclose(prior.energy(image), by_hand)
    assert Pixels(2, 6).energy(image).tolist() == [0, 0]


@pytest.mark.parametrize("name", ["l2", "alpha_norm", "total_variation"])
def test_descending_an_energy_lowers_that_penalty(name: str) -> None:
    prior = Pixels.from_image(torch.rand(1, 3, 8, 8), **{name: 1.0})
    before = prior.energy(prior()).item()
    for step in range(20):
        (gradient,) = torch.autograd.grad(prior.energy(prior()).sum(), prior.pixels)
        with torch.no_grad():
            prior.pixels -= 0.5 * gradient / gradient.norm()
        prior.project(step)
    assert prior.energy(prior()).item() < 0.9 * before


@pytest.mark.parametrize("name", ["l2", "alpha_norm", "total_variation"])
@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_a_weight_is_at_least_zero(name: str, weight: float) -> None:
    with pytest.raises(ValueError, match=name):
        Pixels(1, 4, **{name: weight})  # type: ignore[arg-type]


def test_a_zero_start_is_flat_in_the_colour_of_the_data_mean() -> None:
    mean = natural_statistics().mean.tolist()
    prior = Pixels(2, 6, mean=mean, spread=0, l2=1)
    prior.reset([torch.Generator(), torch.Generator()])
    assert torch.allclose(prior().detach(), natural_statistics().mean[:, None, None].expand(2, 3, 6, 6))
    assert prior.energy(prior()).abs().max() < 1e-9  # the penalty is the distance from there
    assert Pixels(1, 6, l2=1).energy(prior()).min() > 0


def test_blur_comes_after_every_kth_step() -> None:
    image = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    prior = Pixels.from_image(image, blur=1.0, blur_every=3)
    for step in (0, 1):
        prior.project(step)
        assert torch.equal(prior(), image)
    prior.project(2)
    assert torch.allclose(prior(), gaussian_blur(image, 1.0))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_blur_is_a_gaussian_of_the_given_width(sigma: float) -> None:
    dot = torch.zeros(1, 1, 41, 41)
    dot[..., 20, 20] = 1
    blurred = gaussian_blur(dot, sigma)
    place = torch.arange(41.0) - 20
    assert blurred.sum().item() == pytest.approx(1, abs=1e-5)
    discrete = torch.softmax(-(place / sigma).square() / 2, 0)
    assert blurred.sum((0, 1, 3)).numpy() == pytest.approx(discrete.numpy(), abs=2e-3)
    assert torch.allclose(blurred, blurred.transpose(2, 3), atol=1e-7)


def test_blur_keeps_flat_pictures_and_never_leaves_the_range() -> None:
    assert torch.allclose(gaussian_blur(torch.full((2, 3, 2, 7), 0.3), 2.0), torch.tensor(0.3))
    image = torch.rand(2, 3, 5, 4).round()
    blurred = gaussian_blur(image, 0.7)
    assert 0 <= blurred.min() <= blurred.max() <= 1 + 1e-6


def test_the_bound_holds_every_pixels_colour_near_the_mean_and_moves_no_other() -> None:
    prior = Pixels.from_image(torch.rand(2, 3, 8, 8), bound=0.3, mean=(0.4, 0.5, 0.6))
    mean = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)
    before = prior().detach().clone()
    prior.project(0)
    distance = (prior() - mean).norm(dim=1)
    assert distance.max() <= 0.3 + 1e-6
    near = (before - mean).norm(dim=1) < 0.3
    assert near.any()
    assert not near.all()
    assert torch.allclose(prior().movedim(1, -1)[near], before.movedim(1, -1)[near], atol=1e-7)
    direction = torch.cosine_similarity(prior() - mean, before - mean, dim=1)
    assert direction.min() > 1 - 1e-5  # same hue, less of it


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blur": -1.0}, "blur"),
        ({"blur": float("nan")}, "blur"),
        ({"blur": 1.0, "blur_every": 0}, "blur_every"),
        ({"blur": 1.0, "blur_every": 1.5}, "blur_every"),
        ({"bound": 0.0}, "bound"),
        ({"bound": float("nan")}, "bound"),
        ({"mean": 1.5}, "mean"),
        ({"mean": (0.5, 0.5), "image_channels": 3}, "mean"),
        ({"mean": (0.5, 0.5, float("nan"))}, "mean"),
    ],
)
def test_an_option_out_of_its_range_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pixels(1, 4, **options)  # type: ignore[arg-type]
