"""Insertion and deletion (Petsiuk et al. 2018): the score as pixels are inserted or deleted in the order of a map."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from recipes.attribution.scoring.forward import Score, stack_in_groups, target_rows


@torch.no_grad()
def curve(score: Score, begin: Tensor, end: Tensor, maps: Tensor, points: int, at_once: int = 1) -> Tensor:
    """The score as the pixels of one image are replaced by those of another, in descending order of the map.

    Deletion goes from an image to its baseline, insertion from the baseline to the image.

    Args:
        score: images -> scores.
        begin: (B, 3, H, W), the images at the first point.
        end: (B, 3, H, W), the images at the last point.
        maps: (B, H, W); equal values are taken in reading order.
        points: number of steps, each of about as many pixels.
        at_once: how many points are scored in one forward pass.

    Returns:
        (B, points + 1) on the CPU.

    Example:
        >>> total = lambda images, rows=None: images.sum((1, 2, 3))
        >>> heat = torch.tensor([[[0.0, 2.0]]])
        >>> curve(total, torch.tensor([[[[1.0, 3.0]]]]), torch.zeros(1, 1, 1, 2), heat, points=2)
        tensor([[4., 1., 0.]])
    """
    ranks = maps.flatten(1).argsort(dim=1, descending=True, stable=True).argsort(1).to(begin.device)

    def mixed() -> Iterator[Tensor]:
        for point in range(points + 1):
            replaced = ranks < round(point * ranks.shape[1] / points)
            yield torch.where(replaced.view(len(maps), 1, *maps.shape[1:]), end, begin)

    scores = [
        score(group.flatten(0, 1), target_rows(begin, len(group))).view(len(group), len(begin))
        for group in stack_in_groups(mixed(), at_once)
    ]
    return torch.cat(scores).T.cpu()


def area(curves: Tensor) -> Tensor:
    """The area under curves (B, n) over [0, 1], by the trapezoidal rule: (B,).

    Example:
        >>> area(torch.tensor([[4.0, 1.0, 0.0]]))
        tensor([1.5000])
    """
    return torch.trapezoid(curves, dx=1 / (curves.shape[1] - 1))


def normalise_curves(curves: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Curves (B, n), scaled so that `low` (B,) is 0 and `high` (B,) is 1; 0 where both are equal."""
    return ((curves - low[:, None]) / (high - low)[:, None]).nan_to_num(0, 0, 0)
