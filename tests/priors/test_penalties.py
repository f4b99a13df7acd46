"""Penalties: at least 0, 0 for flat mid-grey, means over pixels, and each image on its own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from priors import alpha_norm, l2, total_variation

PENALTIES = {
    "l2": l2,
    "alpha 6": alpha_norm,
    "alpha 1.5": lambda image: alpha_norm(image, 1.5),
    "tv 2": total_variation,
    "tv 1": lambda image: total_variation(image, 1),
    "tv 3": lambda image: total_variation(image, 3),
}
each = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)


@st.composite
def images(draw: st.DrawFn) -> Tensor:
    shape = (draw(st.integers(1, 3)), 3, draw(st.integers(2, 9)), draw(st.integers(2, 9)))
    return torch.rand(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 10**6))))


@each
@given(images())
def test_it_is_one_number_of_at_least_zero_for_each_image(penalty, image) -> None:
    value = penalty(image)
    assert value.shape == (len(image),)
    assert value.min() >= 0
    assert torch.allclose(torch.cat([penalty(one[None]) for one in image]), value)


@each
def test_flat_grey_has_no_penalty_and_no_gradient(penalty) -> None:
    grey = torch.full((1, 3, 6, 6), 0.5, requires_grad=True)
    value = penalty(grey)
    value.sum().backward()
    assert value.item() == pytest.approx(0, abs=1e-9)
    assert grey.grad is not None
    assert grey.grad.abs().max() == 0


@each
@given(images())
def test_the_negative_has_the_same_penalty(penalty, image) -> None:
    assert torch.allclose(penalty(1 - image), penalty(image), atol=1e-5)


@each
@given(images())
def test_less_contrast_has_a_lower_penalty(penalty, image) -> None:
    assert (penalty(0.5 + 0.5 * (image - 0.5)) < penalty(image)).all()


@given(images())
def test_values_are_bounded_as_documented(image: Tensor) -> None:
    assert l2(image).max() <= 0.25
    assert alpha_norm(image).max() <= 1
    extreme = image.round()
    assert torch.allclose(l2(extreme), torch.tensor(0.25))
    assert torch.allclose(alpha_norm(extreme), torch.tensor(1.0))


@given(images())
def test_a_weight_means_the_same_at_every_size(image: Tensor) -> None:
    tiled = image.repeat(1, 1, 3, 2)
    assert torch.allclose(l2(tiled), l2(image), atol=1e-6)
    assert torch.allclose(alpha_norm(tiled), alpha_norm(image), atol=1e-6)


def test_total_variation_is_the_mean_squared_slope() -> None:
    ramp = (torch.arange(5.0) / 10).expand(1, 3, 4, 5)
    assert total_variation(ramp).item() == pytest.approx(0.01)
    assert total_variation(ramp.transpose(2, 3)).item() == pytest.approx(0.01)
    diagonal = ramp[..., :4] + ramp[..., :4].transpose(2, 3)
    assert total_variation(diagonal).item() == pytest.approx(0.02)
    assert total_variation(diagonal, beta=1).item() == pytest.approx(0.02**0.5, rel=1e-3)
    assert total_variation(diagonal, beta=4).item() == pytest.approx(0.02**2, rel=1e-3)


def test_l2_and_alpha_norm_of_known_pictures() -> None:
    picture = torch.full((1, 3, 2, 2), 0.5)
    picture[0, :, 0, 0] = 1  # a quarter of the pixels is white
    assert l2(picture).item() == pytest.approx(0.25 / 4)
    assert alpha_norm(picture).item() == pytest.approx(1 / 4)
    picture[0, :, 0, 0] = 0.75
    assert alpha_norm(picture, alpha=3).item() == pytest.approx(0.5**3 / 4)
