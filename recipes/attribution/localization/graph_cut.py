"""Weakly supervised localization: the thing itself, from a network that was never told where things are."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from inverter_errors import BadInput, MissingLibrary
from recipes.attribution.localization.boxes import Box, hot_box, largest_region

FOREGROUND, BACKGROUND = 0.95, 0.30
"""Quantiles of a map: above the one lies the thing, below the other it does not (Simonyan et al. 2014, section 3.2)."""
SMOOTH = 1 / 45
"""Of the longer side: by so much a map is blurred first. A gradient's grains are no regions to learn colours from."""
THRESHOLD = 0.2
"""Of the maximum, where a method has none of its own (Zhou et al. 2016)."""


def graph_cut(image: Tensor, heat: Tensor) -> Tensor:
    """The thing in a picture (3 or 1, H, W) in [0, 1] with a heat map (H, W), as a mask (H, W) of booleans.

    The hottest 5 % of the map are the thing, its coldest 30 % are not: Gaussian mixtures of the colours of these two,
    and of no others, decide the rest by one cut along strong edges (OpenCV's grabCut with frozen models); the largest
    region stays. Of pixels that are as cold, those farthest from the thing count first: most of a map may be 0. A map
    in which nothing stands out has an empty mask. What speaks against the target counts as nothing.

    Left to itself, grabCut learns from undecided pixels, too: as background they teach it the thing's own colours.

    Raises:
        MissingLibrary: without OpenCV; it says how to install it.
        BadInput: for a picture and a map of different sizes.
    """
    if image.ndim != 3 or len(image) not in (1, 3) or image.shape[1:] != heat.shape:
        raise BadInput(
            f"expected a picture (3, H, W) and a map (H, W) of it, got {tuple(image.shape)} and {tuple(heat.shape)}"
        )
    cv2, heat = open_cv(), heat.detach().float().cpu().nan_to_num(0, 0, 0).clamp_min(0)
    if heat.max() == heat.min():
        return torch.zeros(heat.shape, dtype=torch.bool)
    sigma = SMOOTH * max(heat.shape)
    smooth = torch.from_numpy(cv2.GaussianBlur((heat / heat.max()).numpy(), (0, 0), sigma))
    thing = (smooth >= smooth.flatten().quantile(FOREGROUND)) & (smooth > smooth.min())
    away = cv2.distanceTransform((~thing).byte().numpy(), cv2.DIST_L2, 3)
    coldest = np.lexsort((-away.ravel(), smooth.numpy().ravel()))[: round(BACKGROUND * heat.numel())]
    rest = torch.zeros(heat.numel(), dtype=torch.bool)
    rest[coldest] = True
    rest = rest.view(heat.shape) & ~thing
    if not rest.any():
        return thing
    colours = (image.detach().cpu().clamp(0, 1) * 255).round().byte().expand(3, -1, -1).permute(1, 2, 0)
    bgr = colours.flip(2).contiguous()
    cv2.setRNGSeed(0)  # mixtures begin at random
    known = torch.cat([torch.full((int(rest.sum()),), cv2.GC_BGD), torch.full((int(thing.sum()),), cv2.GC_FGD)])
    seeds = torch.cat([bgr[rest], bgr[thing]])[None].numpy()
    _, *models = cv2.grabCut(seeds, known.byte()[None].numpy(), None, None, None, 0, cv2.GC_INIT_WITH_MASK)
    trimap = torch.full(heat.shape, cv2.GC_PR_BGD, dtype=torch.uint8)
    trimap[rest], trimap[thing] = cv2.GC_BGD, cv2.GC_FGD
    found, *_ = cv2.grabCut(bgr.numpy(), trimap.numpy(), None, *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    labels = torch.from_numpy(found)
    return largest_region((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def box_of(mask: Tensor) -> Box | None:
    """The box around a mask (H, W); None where it is empty.

    Example:
        >>> box_of(torch.tensor([[False, False], [True, False]]))
        (1, 0, 2, 1)
    """
    return hot_box(mask.float(), 0) if mask.any() else None


def find_box(way: str, heat: Tensor, share: float | None) -> Box | None:
    """The box around what is hottest.

    Args:
        way: `threshold`, `auto` (threshold, if the method has one) or `none`.
        share: of the maximum that bounds a method's maps; None if it has none, so that `auto` draws no box.
    """
    if way == "none" or (way == "auto" and share is None):
        return None
    return hot_box(heat, THRESHOLD if share is None else share)


def open_cv() -> ModuleType:
    """OpenCV.

    Raises:
        MissingLibrary: if it is not there; it says how to install it.
    """
    try:
        return importlib.import_module("cv2")
    except ModuleNotFoundError as error:
        raise MissingLibrary("graph-cut needs OpenCV: pip install 'inverter[localization]'") from error
