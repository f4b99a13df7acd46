"""The spectrum of a picture without border artefacts."""

from __future__ import annotations

import math

import pytest
import torch

from priors.spectrum import periodic_spectrum, real_inverse
from tests.pretended import PretendedDevice


def test_the_periodic_part_of_a_periodic_picture_is_nearly_all_of_it() -> None:
    ramp = torch.arange(64.0)
    wave = torch.sin(2 * math.pi * 4 * ramp / 64).expand(48, -1)
    tilt = (ramp / 64).expand(48, -1)
    flat = periodic_spectrum(wave).abs()
    assert flat.flatten().topk(2).indices.tolist()[0] == 4  # row 0, column 4
    # A tilted plane has a cross in its plain spectrum, and no part that is periodic.
    assert periodic_spectrum(tilt).abs()[0, 8:].max() < 0.1 * torch.fft.rfft2(tilt, norm="ortho").abs()[0, 8:].max()


@pytest.mark.parametrize("size", [(6, 8), (5, 8), (6, 7), (5, 3), (4, 2), (3, 1), (1, 6)])
def test_numbers_that_are_no_spectrum_make_the_same_picture_on_a_gpu(size: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(0)
    spectrum = torch.randn(2, size[0], size[1] // 2 + 1, dtype=torch.complex64, generator=draw)
    weights = torch.randn(2, *size, generator=draw)
    here = spectrum.clone().requires_grad_()
    picture = real_inverse(here, size)
    (picture * weights).sum().backward()
    with PretendedDevice():
        there = spectrum.to("cuda").requires_grad_()
        found = real_inverse(there, size)
        (found * weights.to("cuda")).sum().backward()
        torch.testing.assert_close(found.cpu(), picture)
        torch.testing.assert_close(there.grad.cpu(), here.grad)


def test_on_a_gpu_the_library_gets_only_what_a_real_picture_has(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[torch.Tensor] = []
    usual = torch.fft.irfft
    monkeypatch.setattr(torch.fft, "irfft", lambda x, *a, **k: given.append(x.cpu()) or usual(x, *a, **k))
    with PretendedDevice():
        real_inverse(torch.randn(4, 5, dtype=torch.complex64).to("cuda"), (4, 8))
    assert given[0].imag[:, [0, 4]].abs().max() == 0
    assert given[0].imag[:, 1:4].abs().min() > 0
