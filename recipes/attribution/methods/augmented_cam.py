"""Augmented Grad-CAM (Morbidelli et al. 2020): one fine heat map from the coarse ones of many views of a picture."""

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
"""Largest rotation of a view in degrees, and its largest shift as a share of the picture's side."""
STEP = 0.3
"""Length of the first step, where the data alone would allow 1."""
COVERED = 0.99
"""A coarse position counts where the picture covers so much of it; elsewhere the view shows its mirror image."""


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
        "views": "rotated and shifted copies",
        "scale": "how many times finer than the layer's maps the heat map is",
        "steps": "of subgradient descent",
        "smooth": "weight of the total variation",
        "small": "weight of the squared length",
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
    """h = argmin 1/2 sum over l of |D A_l h - g_l|^2 + lambda TV(h) + mu/2 |h|^2 (eq. 4), h >= 0.

    g_l is Grad-CAM of view l, A_l the view's warp, D the mean over the fine positions in a coarse one, TV anisotropic.
    """
    warps = torch.stack(list(_warps(seed, views))).to(images.device)
    seen = []
    for some in stack_in_groups(warps, copies_at_once(model, images)):
        shown = _warped(images, some, "reflection")
        rows = target_rows(images, len(some))
        maps, gradient = layer_gradient(model, shown, target, layer, rows)
        coarse = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu()
        seen.append(coarse.view(len(some), len(images), *coarse.shape[1:]))
    coarse = torch.cat(seen)
    unit = coarse.amax((0, 2, 3))
    fine = super_resolve(coarse / unit.clamp_min(1e-30)[:, None, None], warps, scale, steps, smooth, small)
    return fine * unit[:, None, None]


def _warps(seed: int, views: int) -> Iterator[Tensor]:
    """Affine maps (2, 3) from a view to the picture, in the coordinates of `affine_grid`; the first changes nothing."""
    generator = torch.Generator().manual_seed(seed)
    for view in range(views):
        angle, x, y = ((torch.rand(3, generator=generator) * 2 - 1) * (view > 0)).tolist()
        angle *= math.radians(ROTATE)
        cos, sin = math.cos(angle), math.sin(angle)
        yield torch.tensor([[cos, -sin, 2 * SHIFT * x], [sin, cos, 2 * SHIFT * y]])


def _warped(images: Tensor, warps: Tensor, padding: str) -> Tensor:
    """All pictures (B, C, H, W) by each warp (n, 2, 3), view by view: (n * B, C, H, W)."""
    copies = images.repeat(len(warps), 1, 1, 1)
    grid = F.affine_grid(warps.repeat_interleave(len(images), 0), list(copies.shape), align_corners=False)
    return F.grid_sample(copies, grid, padding_mode=padding, align_corners=False)


def super_resolve(coarse: Tensor, warps: Tensor, scale: int, steps: int, smooth: float, small: float) -> Tensor:
    """The fine maps (B, scale * h, scale * w) that explain the coarse ones (views, B, h, w) in [0, 1].

    Each term is a mean over its own positions, so that the weights mean the same at any size. Steps shrink as
    1 / sqrt(t), projected on h >= 0; the mean of the later half of them counts: where the total variation has an edge,
    single ones jump from one side of it to the other.
    """
    height, width = coarse.shape[2:]
    size = (scale * height, scale * width)
    covered = F.adaptive_avg_pool2d(_warped(coarse.new_ones(1, 1, *size), warps, "zeros"), (height, width))
    weight = (covered > COVERED).float()[:, None, 0]  # (views, 1, h, w): the same for all pictures
    weight = weight / weight.sum().clamp_min(1)
    fine = F.interpolate(coarse[:1].transpose(0, 1), size, mode="bilinear", align_corners=False)
    total, pixels, late = torch.zeros_like(fine), size[0] * size[1], steps - steps // 2
    with torch.enable_grad():
        for step in range(steps):
            fine.requires_grad_()
            shown = F.adaptive_avg_pool2d(_warped(fine, warps, "zeros"), (height, width)).view_as(coarse)
            off = (weight * (shown - coarse).square()).sum((0, 2, 3)) / 2
            variation = fine.diff(dim=2).abs().sum((1, 2, 3)) + fine.diff(dim=3).abs().sum((1, 2, 3))
            energy = off + (smooth * variation + small / 2 * fine.square().sum((1, 2, 3))) / pixels
            (slope,) = torch.autograd.grad(energy.sum(), fine)
            fine = (fine - STEP * pixels / math.sqrt(step + 1) * slope).detach().clamp_min(0)
            if step >= steps - late:
                total += fine / late
    return total[:, 0]
