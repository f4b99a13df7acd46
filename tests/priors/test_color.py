"""Laws of colour: bases and their inverses, and the map between pictures and unbounded values."""

from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from priors.color import LUCID_BASIS, decorrelate, from_image, logit_moments, recorrelate, to_image
from tests.pretended import PretendedDevice


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), channels=st.integers(1, 5), height=st.integers(1, 9), width=st.integers(1, 9))
def test_recorrelate_and_decorrelate_are_inverse(seed: int, channels: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(2, channels, height, width, generator=generator)
    basis = torch.randn(channels, channels, generator=generator) + 3 * torch.eye(channels)
    mixed = recorrelate(image, basis)
    torch.testing.assert_close(mixed, torch.einsum("dc,bchw->bdhw", basis, image), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(decorrelate(mixed, basis), image, rtol=1e-3, atol=1e-3)


def test_planes_are_the_product_and_its_gradient_in_any_batch() -> None:
    image = torch.randn(3, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    other = torch.randn(3, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    found = []
    for gpu in (False, True):
        with PretendedDevice() if gpu else nullcontext():
            x = image.to("cuda" if gpu else "cpu").requires_grad_()
            mixed = recorrelate(x, LUCID_BASIS.to(x.device))
            (gradient,) = torch.autograd.grad((mixed * other.to(x.device)).sum(), x)
            alone = recorrelate(x[1:2], LUCID_BASIS.to(x.device))
            assert torch.equal(alone.cpu(), mixed[1:2].cpu()) or not gpu
            found.append((mixed.detach().cpu(), gradient.cpu()))
    torch.testing.assert_close(found[1], found[0])


def test_colours_are_checked() -> None:
    with pytest.raises(ValueError, match="colour basis"):
        recorrelate(torch.zeros(1, 4, 2, 2), torch.eye(3))
    with pytest.raises(ValueError, match="no inverse"):
        decorrelate(torch.zeros(1, 3, 2, 2), torch.ones(3, 3))
    with pytest.raises(ValueError, match="margin"):
        from_image(torch.zeros(1), margin=0.5)


@given(st.floats(0, 1))
def test_the_way_to_a_picture_and_back_loses_half_a_step(value: float) -> None:
    there = to_image(from_image(torch.tensor(value)))
    assert abs(there.item() - value) <= 0.5 / 255 + 1e-6


@settings(max_examples=20, deadline=None)
@given(mean=st.floats(0.1, 0.9), share=st.floats(0.05, 0.95))
def test_logit_moments_give_the_moments_after_the_sigmoid(mean: float, share: float) -> None:
    deviation = share * math.sqrt(mean * (1 - mean))
    centre, spread = logit_moments(torch.tensor([mean]), torch.tensor([deviation]))
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    values = to_image(centre + spread * (noise - noise.mean()) / noise.std())
    assert values.mean().item() == pytest.approx(mean, abs=3e-3)
    assert values.std().item() == pytest.approx(deviation, abs=3e-3)


def test_impossible_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="standard deviation"):
        logit_moments(torch.tensor([0.5]), torch.tensor([0.5]))
