"""Several different pictures of one unit: images of a group repel each other in style."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput
from objectives.base import Activations, Objective
from objectives.units import as_map, by_device


def diversity(layer: str, groups: Sequence[int] | None = None) -> Objective:
    """Minus the mean cosine between Gram matrices of the images of a group (Olah et al. 2017, diversity term).

    The score of an image is -1 where all images of its group have the same style, 0 where they share nothing (and
    for an image that is alone). Add it to an objective with a weight: `channel(...) + 100 * diversity("mixed4a")`.

    Args:
        layer: address of a layer that puts out maps (B, C, H, W).
        groups: one number per image; images with the same number belong together. By default the whole batch does.

    Example:
        >>> diversity("conv").score(Activations({"conv": torch.ones(2, 3, 4, 4)})).round()
        tensor([-1., -1.])
    """
    numbers = None if groups is None else by_device(torch.tensor(list(groups), dtype=torch.long))

    def score(seen: Activations) -> Tensor:
        maps = as_map(seen[layer], layer).float().flatten(2)
        gram = F.normalize((maps @ maps.transpose(1, 2)).flatten(1), dim=1)
        images = len(gram)
        if numbers is None:
            together = torch.ones(images, images, device=gram.device)
        else:
            of = numbers(gram.device)
            of = of if seen.rows is None else of[seen.rows.to(of.device)]
            if len(of) != images:
                raise BadInput(f"diversity: {len(of)} group numbers for a batch of {images} images")
            together = (of[:, None] == of[None]).float()
        together = together - torch.eye(images, device=gram.device)
        return -(gram @ gram.T * together).sum(1) / together.sum(1).clamp_min(1)

    return Objective(f"diversity({layer})", (layer,), score, coupled=True)


def diverse(objective: Objective, layer: str, groups: Sequence[int], weight: float = 0.5) -> Objective:
    """An objective whose several images of one unit must also differ: f + weight |f| diversity.

    The size of f itself (without gradient) is the yardstick, so that one weight fits units of any scale.

    Args:
        objective: what to look for.
        layer, groups: as in `diversity`; images of a group are attempts at the same unit.
        weight: 0 ignores diversity; at 1 identical images are worth nothing.
    """
    repel = diversity(layer, groups)

    def score(seen: Activations) -> Tensor:
        value = objective.score(seen)
        return value + weight * value.detach().abs() * repel.score(seen)

    return Objective(
        f"diverse({objective.name})",
        tuple(dict.fromkeys(objective.reads + repel.reads)),
        score,
        objective.labels,
        coupled=True,
    )
