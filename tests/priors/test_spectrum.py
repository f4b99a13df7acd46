"""The spectrum of a picture without its borders."""

from __future__ import annotations

import math

import torch

from priors.spectrum import periodic_spectrum


def test_the_periodic_part_of_a_periodic_picture_is_nearly_all_of_it() -> None:
    ramp = torch.arange(64.0)
    wave = torch.sin(2 * math.pi * 4 * ramp / 64).expand(48, -1)
    tilt = (ramp / 64).expand(48, -1)
    flat = periodic_spectrum(wave).abs()
    assert flat.flatten().topk(2).indices.tolist()[0] == 4  # row 0, column 4
    # A tilted plane has a cross in its plain spectrum, and no part that is periodic.
    assert periodic_spectrum(tilt).abs()[0, 8:].max() < 0.1 * torch.fft.rfft2(tilt, norm="ortho").abs()[0, 8:].max()
