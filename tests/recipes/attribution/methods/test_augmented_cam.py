"""Augmented Grad-CAM: many coarse views give a finer map than one."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from objectives import logit
from recipes.attribution import explain
from recipes.attribution.methods.augmented_cam import _warped, _warps, super_resolve


def coarse_views(truth: Tensor, views: int, side: int) -> tuple[Tensor, Tensor]:
    """Coarse maps (views, 1, side, side) of a fine map (1, 1, H, W) in each view, and the warps."""
    warps = torch.stack(list(_warps(0, views)))
    shown = F.adaptive_avg_pool2d(_warped(truth, warps, "zeros"), (side, side))
    return shown.view(views, 1, side, side), warps


@pytest.fixture
def truth() -> Tensor:
    """A bar, finer than a coarse position: (1, 1, 64, 64)."""
    fine = torch.zeros(1, 1, 64, 64)
    fine[:, :, 20:44, 30:35] = 1
    return fine


def test_views_that_see_a_thing_elsewhere_make_it_finer(truth: Tensor) -> None:
    error = {}
    for views in (1, 32):
        coarse, warps = coarse_views(truth, views, 8)
        found = super_resolve(coarse, warps, scale=8, steps=100, smooth=0.001, small=0.0)
        assert found.shape == (1, 64, 64)
        error[views] = float((found - truth[:, 0]).square().mean())
    enlarged = F.interpolate(coarse_views(truth, 1, 8)[0], (64, 64), mode="bilinear", align_corners=False)
    assert error[32] < 0.5 * error[1]
    assert error[32] < 0.5 * float((enlarged - truth).square().mean())


def test_total_variation_smooths_and_nothing_falls_below_zero(truth: Tensor) -> None:
    coarse, warps = coarse_views(truth, 16, 8)
    found = [super_resolve(coarse, warps, 8, 60, weight, 0.0)[0] for weight in (0.0, 0.005, 0.02)]
    variation = [float(fine.diff(dim=0).abs().sum() + fine.diff(dim=1).abs().sum()) for fine in found]
    assert variation[2] < 0.96 * variation[1] < 0.92 * variation[0]
    assert min(float(fine.min()) for fine in found) >= 0


def test_a_length_that_costs_much_leaves_little(truth: Tensor) -> None:
    coarse, warps = coarse_views(truth, 8, 8)
    free, short = (super_resolve(coarse, warps, 8, 60, 0.0, weight) for weight in (0.0, 1.0))
    assert 0 < short.sum() < 0.8 * free.sum()


def test_a_silent_map_stays_silent(tiny: Model) -> None:
    tiny.module.head.weight.data.zero_()
    heat = explain(tiny, torch.rand(1, 3, 16, 16), logit(0), "augmented-grad-cam:views=2,steps=2,scale=1")
    assert not heat.any()


@pytest.mark.parametrize("options", ["views=0", "scale=0", "steps=0"])
def test_fewer_than_one_is_refused(options: str, tiny: Model, pictures: Tensor) -> None:
    with pytest.raises(ValueError, match="views, scale and steps of at least 1"):
        explain(tiny, pictures, logit(0), f"augmented-grad-cam:{options}")
