"""Diversity: several pictures of one unit that differ in style."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput, plural
from objectives.base import Activations, Objective
from objectives.targets import Targets
from objectives.units import as_map


def diversity(layer: str, groups: Sequence[int] | None = None) -> Objective:
    """Minus the mean cosine between Gram matrices of the images of a group (Olah et al. 2017, diversity term).

    The score of an image is -1 if all images of its group have the same style, 0 if their Gram matrices are
    orthogonal or the group has no other image. Add it to an objective with a weight:
    `channel(...) + 100 * diversity("mixed4a")`.

    Args:
        layer: address of a layer that outputs maps (B, C, H, W).
        groups: one group number per image; by default the batch is a single group.

    Returns:
        The objective, with scores in [-1, 1]. It is coupled: the engine never splits its batch.

    Raises:
        BadInput: when scored, if the number of groups is not that of the images, or the activation is not a map.
        NotFound: when scored, if the layer was not captured.

    Example:
        >>> diversity("conv").score(Activations({"conv": torch.ones(2, 3, 4, 4)})).round()
        tensor([-1., -1.])
    """
    numbers = None if groups is None else Targets(torch.tensor(list(groups), dtype=torch.long, device="cpu"))

    def score(activations: Activations) -> Tensor:
        maps = as_map(activations[layer], layer).float().flatten(2)
        gram = F.normalize((maps @ maps.transpose(1, 2)).flatten(1), dim=1)
        images = len(gram)
        if numbers is None:
            together = torch.ones(images, images, dtype=gram.dtype, device=gram.device)
        else:
            of = numbers(gram.device)
            of = of if activations.rows is None else of[activations.rows.to(of.device)]
            if len(of) != images:
                raise BadInput(f"diversity: {plural(len(of), 'group number')} for a batch of {plural(images, 'image')}")
            together = (of[:, None] == of[None]).float()
        together = together - torch.eye(images, dtype=gram.dtype, device=gram.device)
        return -(gram @ gram.T * together).sum(1) / together.sum(1).clamp_min(1)

    return Objective(
        f"diversity({layer})",
        (layer,),
        score,
        coupled=True,
        repulsion=1.0,
        form=("diversity", layer, numbers is None),
        targets=() if numbers is None else (numbers,),
    )


def diverse(objective: Objective, layer: str, groups: Sequence[int], weight: float = 0.5) -> Objective:
    """Adds diversity between the images of each unit to an objective f: f + weight |f| diversity.

    Olah et al. 2017 add the term with a fixed weight. Here it is multiplied by |f| (without gradient), so that one
    weight fits units of any scale.

    Args:
        objective: the objective f.
        layer: address of a layer that outputs maps (B, C, H, W), whose Gram matrices are compared.
        groups: one group number per image; images of a group are attempts at the same unit.
        weight: 0 ignores diversity; at 1 identical images have a score of 0.

    Returns:
        The objective, with the targets of `objective`. It is coupled: the engine never splits its batch.

    Raises:
        BadInput: when scored, as in `diversity`.
        NotFound: when scored, if a layer was not captured.
    """
    repel = diversity(layer, groups)

    def score(activations: Activations) -> Tensor:
        value = objective.score(activations)
        return value + weight * value.detach().abs() * repel.score(activations)

    return Objective(
        f"diverse({objective.name})",
        tuple(dict.fromkeys(objective.reads + repel.reads)),
        score,
        objective.labels,
        coupled=True,
        form=None if objective.form is None else ("diverse", objective.form, repel.form, weight),
        targets=objective.targets + repel.targets,
    )
