"""Pixels: free numbers that never leave [0, 1], with any of three penalties."""

import pytest
import torch

from priors import Pixels, alpha_norm, l2, total_variation


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
