"""Heat maps as pictures."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipes.outputs.rendering.colormap import OPACITY, colours, overlay, plain, strength


@given(st.integers(0, 2**16), st.booleans(), st.floats(1e-6, 1e6))
def test_a_strength_does_not_know_the_maps_unit(seed: int, signed: bool, unit: float) -> None:
    heat = torch.randn(7, 9, generator=torch.Generator().manual_seed(seed))
    found = strength(heat, signed)
    torch.testing.assert_close(strength(heat * unit, signed), found, rtol=1e-4, atol=1e-5)
    assert found.abs().max() == 1
    assert torch.equal(found.sign(), heat.sign() if signed else heat.clamp_min(0).sign())


def test_one_pixel_does_not_darken_all_others() -> None:
    heat = torch.ones(30, 30)
    heat[0, 0] = 1e6
    assert strength(heat, False).min() == pytest.approx(1)


def test_zeros_stay_zero_and_nan_counts_as_zero() -> None:
    assert not strength(torch.zeros(4, 4), True).any()
    assert strength(torch.tensor([[float("nan"), 1.0]]), False).tolist() == [[0.0, 1.0]]
    lonely = torch.zeros(30, 30)
    lonely[3, 4] = 2.0
    assert strength(lonely, False)[3, 4] == 1


def test_more_heat_is_more_light_and_against_is_blue() -> None:
    light = colours(torch.linspace(0, 1, 50)[None], False).mul(torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None])
    assert (light.sum(0).diff() > 0).all()
    against, neutral, speaking = colours(torch.tensor([[-0.8, 0.0, 0.8]]), True)[:, 0].T
    assert against[2] > against[0] + 0.3
    assert speaking[0] > speaking[2] + 0.3
    assert neutral.min() > 0.95


def test_where_it_is_cold_the_photo_shows() -> None:
    photo = torch.rand(3, 4, 4)
    heat = torch.zeros(4, 4)
    heat[0, 0] = 1
    shown = overlay(photo, heat, False)
    assert shown.shape == (3, 4, 4)
    torch.testing.assert_close(shown.mean(0)[1:], photo.mean(0)[1:])  # as bright as it was, paler
    torch.testing.assert_close(
        shown[:, 0, 0],
        (1 - OPACITY) * (0.35 * photo + 0.65 * photo.mean(0))[:, 0, 0] + OPACITY * plain(heat, False)[:, 0, 0],
    )
    assert 0 <= shown.min() <= shown.max() <= 1
