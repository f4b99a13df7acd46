"""Warps: the deterministic computation and its gradient equal torch's own."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from inverter.warp import gathered, view_grid, warp


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


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_the_grid_of_views_is_affine_grid(views: int, count: int, height: int, width: int, seed: int) -> None:
    maps = torch.randn(views, count, 2, 3, generator=torch.Generator().manual_seed(seed))
    found = view_grid(maps, (height, width))
    assert found.shape == (count, views * height, width, 2)
    for view, grid in enumerate(found.unflatten(1, (views, height)).transpose(0, 1)):
        known = F.affine_grid(maps[view], [count, 1, height, width], align_corners=False)
        torch.testing.assert_close(grid, known, rtol=1e-5, atol=1e-6)
