"""Augmented Grad-CAM (Morbidelli et al. 2020): a fine heat map from the coarse maps of many augmented views."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import method
from recipes.attribution.methods.cam import BOX
from recipes.attribution.scoring.forward import copies_at_once, stack_in_groups, target_rows
from recipes.attribution.scoring.layers import layer_gradient

ROTATE, SHIFT = 15.0, 0.15
"""Largest rotation of a view in degrees, and its largest shift as a share of the image's side."""
STEP = 0.3
"""Length of the first step; the data term alone would allow 1."""
COVERED = 0.99
"""A coarse position is used if the image covers this share of it; the rest of a view is filled by reflection."""


def _check(*, views: int, scale: int, steps: int, smooth: float, small: float) -> None:
    if min(views, scale, steps) < 1 or not min(smooth, small) >= 0:
        raise BadInput(
            "expected views, scale and steps of at least 1, smooth and small of at least 0, "
            f"got {views}, {scale}, {steps}, {smooth:g} and {small:g}"
        )


@method(
    "augmented-grad-cam",
    paper="Morbidelli et al. 2020",
    layer=True,
    box=BOX,
    check=_check,
    help={
        "views": "number of rotated and shifted views",
        "scale": "upsampling factor of the heat map over the layer's maps",
        "steps": "subgradient descent steps",
        "smooth": "weight of total variation",
        "small": "weight of the squared L2 norm",
    },
)
def augmented_grad_cam(
    model: Model,
    images: Tensor,
    target: Objective,
    *,
    layer: str,
    seed: int,
    views: int = 32,
    scale: int = 8,
    steps: int = 100,
    smooth: float = 0.02,
    small: float = 0.01,
) -> Tensor:
    """Super-resolution of the Grad-CAM maps of many views (Morbidelli et al. 2020, eq. 4).

    h = argmin_{h >= 0} 1/2 sum_l |D A_l h - g_l|^2 + lambda TV(h) + mu/2 |h|^2, with g_l the Grad-CAM map of view l,
    A_l the warp of the view, D the mean over the fine positions within a coarse one, and TV the anisotropic total
    variation.
    """
    warps = torch.stack(list(_warps(seed, views))).to(images.device)
    seen = []
    for group in stack_in_groups(warps, copies_at_once(model, images)):
        shown = _warped(images, group, "reflection")
        rows = target_rows(images, len(group))
        maps, gradient = layer_gradient(model, shown, target, layer, rows)
        coarse = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu()
        seen.append(coarse.view(len(group), len(images), *coarse.shape[1:]))
    coarse = torch.cat(seen)
    unit = coarse.amax((0, 2, 3))
    fine = super_resolve(coarse / unit.clamp_min(1e-30)[:, None, None], warps, scale, steps, smooth, small)
    return fine * unit[:, None, None]


def _warps(seed: int, views: int) -> Iterator[Tensor]:
    """Affine maps (2, 3) from a view to the image, in the coordinates of `affine_grid`; the first is the identity."""
    generator = torch.Generator("cpu").manual_seed(seed)
    for view in range(views):
        angle, x, y = ((torch.rand(3, generator=generator, dtype=torch.float32) * 2 - 1) * (view > 0)).tolist()
        angle *= math.radians(ROTATE)
        cos, sin = math.cos(angle), math.sin(angle)
        yield torch.tensor([[cos, -sin, 2 * SHIFT * x], [sin, cos, 2 * SHIFT * y]], dtype=torch.float32)


def _warped(images: Tensor, warps: Tensor, padding: str) -> Tensor:
    """All images (B, C, H, W) under each warp (n, 2, 3), view by view: (n * B, C, H, W)."""
    copies = images.repeat(len(warps), 1, 1, 1)
    grid = F.affine_grid(warps.repeat_interleave(len(images), 0), list(copies.shape), align_corners=False)
    return F.grid_sample(copies, grid, padding_mode=padding, align_corners=False)


def super_resolve(coarse: Tensor, warps: Tensor, scale: int, steps: int, smooth: float, small: float) -> Tensor:
    """The fine maps whose warped and averaged versions match the coarse maps of all views.

    Each term is a mean over its own positions, so that the weights do not depend on the size. Subgradient steps shrink
    as 1 / sqrt(t) and are projected onto h >= 0. The result is the mean of the second half of the iterates, because
    single iterates oscillate around the kinks of the total variation.

    Args:
        coarse: (views, B, h, w) in [0, 1].
        warps: (views, 2, 3), from each view to the image.
        scale: upsampling factor.
        steps: subgradient descent steps.
        smooth: weight lambda of total variation.
        small: weight mu of the squared L2 norm.

    Returns:
        (B, scale * h, scale * w), at least 0.
    """
    height, width = coarse.shape[2:]
    size = (scale * height, scale * width)
    covered = F.adaptive_avg_pool2d(_warped(coarse.new_ones(1, 1, *size), warps, "zeros"), (height, width))
    weight = (covered > COVERED).float()[:, None, 0]  # (views, 1, h, w): the same for all images
    weight = weight / weight.sum().clamp_min(1)
    fine = F.interpolate(coarse[:1].transpose(0, 1), size, mode="bilinear", align_corners=False)
    total, pixels, averaged = torch.zeros_like(fine), size[0] * size[1], steps - steps // 2
    with torch.enable_grad():
        for step in range(steps):
            fine.requires_grad_()
            shown = F.adaptive_avg_pool2d(_warped(fine, warps, "zeros"), (height, width)).view_as(coarse)
            error = (weight * (shown - coarse).square()).sum((0, 2, 3)) / 2
            variation = fine.diff(dim=2).abs().sum((1, 2, 3)) + fine.diff(dim=3).abs().sum((1, 2, 3))
            energy = error + (smooth * variation + small / 2 * fine.square().sum((1, 2, 3))) / pixels
            (slope,) = torch.autograd.grad(energy.sum(), fine)
            fine = (fine - STEP * pixels / math.sqrt(step + 1) * slope).detach().clamp_min(0)
            if step >= steps - averaged:
                total += fine / averaged
    return total[:, 0]
