"""Infidelity (Yeh et al. 2019): does a map predict the drop of the score when a part of the image is removed?"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from recipes.attribution.scoring.forward import Score, stack_in_groups, target_rows

SIDES = (0.1, 0.5)
"""Shortest and longest side of a square, as a share of the image's side."""


@lru_cache(maxsize=1)
def random_squares(count: int, size: tuple[int, int], seed: int) -> Tensor:
    """Masks (count, H, W) with a random square each; True is removed. The tensor is cached: do not modify it."""
    height, width = size
    masks = torch.zeros(count, height, width, dtype=torch.bool)
    draws = torch.rand(count, 3, generator=torch.Generator("cpu").manual_seed(seed), dtype=torch.float32).tolist()
    for mask, (side, y, x) in zip(masks, draws, strict=True):
        share = SIDES[0] + side * (SIDES[1] - SIDES[0])
        tall, wide = max(1, round(share * height)), max(1, round(share * width))
        top, left = round(y * (height - tall)), round(x * (width - wide))
        mask[top : top + tall, left : left + wide] = True
    return masks


@torch.no_grad()
def score_drops(score: Score, images: Tensor, baselines: Tensor, masks: Tensor, at_once: int = 1) -> Tensor:
    """The drop S(x) - S(x with the masked part replaced by the baseline), for every mask and image.

    Args:
        score: images -> scores.
        images: (B, 3, H, W) in [0, 1].
        baselines: (B, 3, H, W) in [0, 1].
        masks: (N, H, W); True is removed.
        at_once: how many masks are scored in one forward pass.

    Returns:
        (N, B) on the CPU.
    """
    full = score(images, target_rows(images))
    removed = (torch.where(mask, baselines, images) for mask in masks.to(images.device))
    scores = [
        score(group.flatten(0, 1), target_rows(images, len(group))).view(len(group), len(images))
        for group in stack_in_groups(removed, at_once)
    ]
    return (full - torch.cat(scores)).cpu()


def infidelity(maps: Tensor, masks: Tensor, drops: Tensor) -> Tensor:
    """Yeh's infidelity E[(beta I.M - drop)^2], relative to E[drop^2].

    I.M is the sum of a map M within a mask I, and beta >= 0 the optimal scale, since maps have scales of their own. At
    0 the map predicts every drop exactly, at 1 it predicts none of them, or the opposite sign. It is NaN if the score
    never changes. Captum's `infidelity` (normalize=True) has the same numerator; here the drops are computed once for
    all methods.

    Args:
        maps: (B, H, W).
        masks: (N, H, W).
        drops: `score_drops`, (N, B).

    Returns:
        (B,) in [0, 1], or NaN.

    Example:
        >>> masks = torch.eye(2, dtype=torch.bool)[:, None]
        >>> infidelity(torch.tensor([[[1.0, 2.0]]]), masks, torch.tensor([[10.0], [20.0]]))
        tensor([0.])
    """
    predicted = masks.flatten(1).double() @ maps.flatten(1).double().T
    beta = (predicted * drops).sum(0) / predicted.square().sum(0)
    error = (beta.nan_to_num(0, 0, 0).clamp_min(0) * predicted - drops).square().mean(0)
    return (error / drops.double().square().mean(0)).float()
