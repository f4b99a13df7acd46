"""Weakly supervised localization: the thing itself, from a network that was never told where things are."""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
from torch import Tensor

from recipes.attribution.boxes import Box, hot_box, largest_region

FOREGROUND, BACKGROUND = 0.95, 0.30
"""Quantiles of a map: above the one lies the thing, below the other it does not (Simonyan et al. 2014, section 3.2)."""
ROUNDS = 5
"""Of grabCut: colour models, cut, colour models, ..."""
THRESHOLD = 0.2
"""Of the maximum, where a method has none of its own (Zhou et al. 2016)."""


def graph_cut(image: Tensor, heat: Tensor) -> Tensor:
    """The thing in a picture (3 or 1, H, W) in [0, 1] with a heat map (H, W), as a mask (H, W) of booleans.

    Pixels above the map's 95 % quantile are the thing, those below its 30 % quantile are not. Colour models of both
    decide the others, by a cut along strong edges (OpenCV's grabCut, Rother et al. 2004); the largest region stays. A
    map in which nothing stands out has an empty mask. What speaks against the target counts as nothing.

    Raises:
        ModuleNotFoundError: without OpenCV; it says how to install it.
        ValueError: for a picture and a map of different sizes.
    """
    if image.ndim != 3 or len(image) not in (1, 3) or image.shape[1:] != heat.shape:
        raise ValueError(
            f"expected a picture (3, H, W) and a map (H, W) of it, got {tuple(image.shape)} and {tuple(heat.shape)}"
        )
    cv2, heat = open_cv(), heat.detach().float().cpu().nan_to_num(0, 0, 0).clamp_min(0)
    thing = heat > heat.flatten().quantile(FOREGROUND)
    rest = (heat <= heat.flatten().quantile(BACKGROUND)) & ~thing
    if not thing.any():
        return thing
    trimap = torch.full(heat.shape, cv2.GC_PR_BGD, dtype=torch.uint8)
    trimap[rest], trimap[thing] = cv2.GC_BGD, cv2.GC_FGD
    colours = (image.detach().cpu().clamp(0, 1) * 255).round().byte().expand(3, -1, -1).permute(1, 2, 0)
    bgr = colours.flip(2).contiguous().numpy()
    cv2.setRNGSeed(0)  # its colour models begin at random
    found, *_ = cv2.grabCut(bgr, trimap.numpy(), None, None, None, ROUNDS, cv2.GC_INIT_WITH_MASK)
    labels = torch.from_numpy(found)
    return largest_region((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def box_of(mask: Tensor) -> Box | None:
    """The box around a mask (H, W); None where it is empty.

    Example:
        >>> box_of(torch.tensor([[False, False], [True, False]]))
        (1, 0, 2, 1)
    """
    return hot_box(mask.float(), 0) if mask.any() else None


def located(way: str, image: Tensor, heat: Tensor, share: float | None) -> Box | None:
    """The box around the thing.

    Args:
        way: `threshold`, `graph-cut`, `auto` (threshold, if the method has one) or `none`.
        share: of the maximum that bounds a method's maps; None if it has none, so that `auto` draws no box.
    """
    if way == "graph-cut":
        return box_of(graph_cut(image, heat))
    if way == "none" or (way == "auto" and share is None):
        return None
    return hot_box(heat, THRESHOLD if share is None else share)


def open_cv() -> ModuleType:
    """OpenCV.

    Raises:
        ModuleNotFoundError: if it is not there; it says how to install it.
    """
    try:
        return importlib.import_module("cv2")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("graph-cut needs OpenCV: pip install 'inverter[localization]'") from error
