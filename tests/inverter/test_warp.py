"""Warps: the deterministic way gives what torch's own gives, and so does its gradient."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from inverter.warp import gathered, warp


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 9), st.floats(0.1, 4), st.integers(0, 999))
def test_gathers_are_grid_sample(height: int, width: int, side: int, reach: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, height, width, generator=draw, dtype=torch.float64, requires_grad=True)
    grid = reach * (2 * torch.rand(2, side, side, 2, generator=draw, dtype=torch.float64) - 1)
    known = F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)
    found = gathered(image, grid)
    torch.testing.assert_close(found, known)
    weight = torch.rand(known.shape, generator=draw, dtype=torch.float64)
    pull = [torch.autograd.grad((result * weight).sum(), image)[0] for result in (found, known)]
    torch.testing.assert_close(*pull)
    torch.testing.assert_close(warp(image, grid), known, rtol=0, atol=0)
