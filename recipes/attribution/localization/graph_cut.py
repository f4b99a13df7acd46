"""Weakly supervised localization: boxes and object masks from heat maps of a network trained on image labels only."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from inverter_errors import BadInput, MissingLibrary
from recipes.attribution.localization.boxes import Box, hot_box, largest_region
from recipes.outputs.rendering.colormap import visible

FOREGROUND, BACKGROUND = 0.95, 0.30
"""Quantiles of a map: foreground lies above the one, background below the other (Simonyan et al. 2014, section 3.2)."""
SMOOTH = 1 / 45
"""Standard deviation of the blur of a map, as a share of the longer side: a raw gradient is too grainy for seeds."""
THRESHOLD = 0.2
"""Share of the maximum, for methods without one of their own (Zhou et al. 2016)."""


def graph_cut(image: Tensor, heat: Tensor) -> Tensor:
    """Segments the object that a heat map points at (Simonyan et al. 2014, section 3.2).

    The highest 5 % of the map are foreground seeds, its lowest 30 % background seeds. Gaussian mixtures of the colours
    of the seeds label the other pixels by one graph cut along strong edges (OpenCV's grabCut with frozen models); the
    largest region is kept. Among equally low pixels those farthest from the foreground are taken first, since most of a
    map may be 0. Values below 0 count as 0. A constant map has an empty mask.

    By default grabCut would also learn from undecided pixels and take the object's own colours for background.

    Args:
        image: (C, H, W) in [0, 1]; channels that are no colours are averaged.
        heat: (H, W).

    Returns:
        The mask (H, W), boolean.

    Raises:
        MissingLibrary: if OpenCV is not installed.
        BadInput: for an image and a map of different sizes.
    """
    if image.ndim != 3 or len(image) not in (1, 3) or image.shape[1:] != heat.shape:
        raise BadInput(
            f"expected an image (3, H, W) and its map (H, W), got {tuple(image.shape)} and {tuple(heat.shape)}"
        )
    cv2, heat = open_cv(), heat.detach().float().cpu().nan_to_num(0, 0, 0).clamp_min(0)
    if heat.max() == heat.min():
        return torch.zeros(heat.shape, dtype=torch.bool)
    sigma = SMOOTH * max(heat.shape)
    smooth = torch.from_numpy(cv2.GaussianBlur((heat / heat.max()).numpy(), (0, 0), sigma))
    foreground = (smooth >= smooth.flatten().quantile(FOREGROUND)) & (smooth > smooth.min())
    away = cv2.distanceTransform((~foreground).byte().numpy(), cv2.DIST_L2, 3)
    coldest = np.lexsort((-away.ravel(), smooth.numpy().ravel()))[: round(BACKGROUND * heat.numel())]
    background = torch.zeros(heat.numel(), dtype=torch.bool)
    background[coldest] = True
    background = background.view(heat.shape) & ~foreground
    if not background.any():
        return foreground
    colours = (visible(image).detach().cpu().clamp(0, 1) * 255).round().byte().expand(3, -1, -1).permute(1, 2, 0)
    bgr = colours.flip(2).contiguous()
    cv2.setRNGSeed(0)  # mixtures are initialised at random
    counts = int(background.sum()), int(foreground.sum())
    known = torch.cat([torch.full((counts[0],), cv2.GC_BGD), torch.full((counts[1],), cv2.GC_FGD)])
    seeds = torch.cat([bgr[background], bgr[foreground]])[None].numpy()
    _, *models = cv2.grabCut(seeds, known.byte()[None].numpy(), None, None, None, 0, cv2.GC_INIT_WITH_MASK)
    trimap = torch.full(heat.shape, cv2.GC_PR_BGD, dtype=torch.uint8)
    trimap[background], trimap[foreground] = cv2.GC_BGD, cv2.GC_FGD
    found, *_ = cv2.grabCut(bgr.numpy(), trimap.numpy(), None, *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    labels = torch.from_numpy(found)
    return largest_region((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def box_of(mask: Tensor) -> Box | None:
    """The box around a mask (H, W); None if it is empty.

    Example:
        >>> box_of(torch.tensor([[False, False], [True, False]]))
        (1, 0, 2, 1)
    """
    return hot_box(mask.float(), 0) if mask.any() else None


def find_box(mode: Literal["auto", "threshold", "none"], heat: Tensor, share: float | None) -> Box | None:
    """The bounding box of a map by a threshold.

    Args:
        mode: `threshold`, `auto` (threshold, if the method has one) or `none`.
        heat: (H, W).
        share: the method's threshold as a share of the maximum; None if it has none, so that `auto` draws no box.
    """
    if mode == "none" or (mode == "auto" and share is None):
        return None
    return hot_box(heat, THRESHOLD if share is None else share)


def open_cv() -> ModuleType:
    """Imports OpenCV.

    Raises:
        MissingLibrary: if it is not installed.
    """
    try:
        return importlib.import_module("cv2")
    except ModuleNotFoundError as error:
        raise MissingLibrary("graph-cut needs OpenCV: pip install 'inverter-vis[localization]'") from error
