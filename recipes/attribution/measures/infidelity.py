"""Infidelity (Yeh et al. 2019): does a map say how much the score falls when a part of the picture goes?"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from recipes.attribution.scoring.forward import Score, stack_in_groups, target_rows

SIDES = (0.1, 0.5)
"""Shortest and longest side of a square, as a share of the picture's."""


@lru_cache(maxsize=1)
def squares(count: int, size: tuple[int, int], seed: int) -> Tensor:
    """Masks (count, H, W), each a square anywhere in the picture: True is what goes. One tensor for all who ask."""
    height, width = size
    masks = torch.zeros(count, height, width, dtype=torch.bool)
    draws = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)).tolist()
    for mask, (side, y, x) in zip(masks, draws, strict=True):
        share = SIDES[0] + side * (SIDES[1] - SIDES[0])
        tall, wide = max(1, round(share * height)), max(1, round(share * width))
        top, left = round(y * (height - tall)), round(x * (width - wide))
        mask[top : top + tall, left : left + wide] = True
    return masks


@torch.no_grad()
def drops(score: Score, images: Tensor, nothing: Tensor, masks: Tensor, at_once: int = 1) -> Tensor:
    """S(x) - S(x without the masked part), (N, B), for pictures and their baselines (B, 3, H, W), masks (N, H, W)."""
    whole = score(images, target_rows(images))
    left = (torch.where(mask, nothing, images) for mask in masks.to(images.device))
    scores = [
        score(group.flatten(0, 1), target_rows(images, len(group))).view(len(group), len(images))
        for group in stack_in_groups(left, at_once)
    ]
    return (whole - torch.cat(scores)).cpu()


def infidelity(maps: Tensor, masks: Tensor, fallen: Tensor) -> Tensor:
    """Yeh's infidelity, E[(beta I.M - fallen)^2], as a share of E[fallen^2]: (B,) in [0, 1].

    I.M is the sum of a map within a mask, and beta the scale that suits a map best, as maps have scales of their own.
    0: the map tells exactly how much the score falls. 1: it does not tell, or tells the opposite (beta is not below 0).
    NaN: the score never falls, and there is nothing to tell.

    Captum's `infidelity` (normalize=True) has the same numerator. Here the network is asked once for all methods.

    Args:
        maps: (B, H, W). masks: (N, H, W). fallen: `drops`, (N, B).

    Example:
        >>> masks = torch.eye(2, dtype=torch.bool)[:, None]
        >>> infidelity(torch.tensor([[[1.0, 2.0]]]), masks, torch.tensor([[10.0], [20.0]]))
        tensor([0.])
    """
    told = masks.flatten(1).double() @ maps.flatten(1).double().T
    beta = (told * fallen).sum(0) / told.square().sum(0)
    missed = (beta.nan_to_num(0, 0, 0).clamp_min(0) * told - fallen).square().mean(0)
    return (missed / fallen.double().square().mean(0)).float()
