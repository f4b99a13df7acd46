"""A direction at the centre of a picture, in surroundings that fit: what the icons of an activation atlas maximise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inverter_errors import BadInput
from objectives.base import Activations, Objective
from objectives.directions import as_vectors, direction_label, matched
from objectives.targets import Targets

LEAST_CENTRE, LEAST_AROUND = 0.2, 0.5
"""Smaller cosines, at the centre and elsewhere, count as this much: there is a gradient far from the direction too."""
HELP = 2.0
"""Power of both cosines in the term of the surroundings."""


def centred_direction(
    layer: str,
    vector: Tensor | Sequence[float],
    toward: Tensor | Sequence[float] | None = None,
    power: float = 6,
    around: float = 3,
) -> Objective:
    """The activation at the centre points along a vector, and those around it help to show what that is.

    f = C^power t . a(centre) + around C^2 (mean over the map of t . a max(.5, cos(a, v))^2), with
    C = max(.2, cos(a(centre), v)) and t = toward / |toward|.

    The cosine to `vector` keeps the centre faithful. It is a factor of both terms, so that surroundings cannot outweigh
    a centre that shows another thing. `toward` is what distinguishes the vector from others: average activations have
    much in common, and that says little of any of them. It extends the cell objective of Carter et al. 2019,
    "Activation Atlas", dot * max(.1, cos)^4 at one position.

    Args:
        layer: address of a layer that outputs maps (B, C, H, W) or vectors (B, C).
        vector: v, (C,), or (N, C) for one direction per image.
        toward: t, of the same shape; by default the vector itself.
        power: exponent of the cosine, >= 0.
        around: weight of the mean over the map, >= 0.

    Returns:
        The objective, with one target for each vector.

    Raises:
        BadInput: for vectors of another shape than each other, not finite or all zero, a negative power or weight; when
            scored, for a vector of another length than the layer has channels, or an activation of another shape.
        NotFound: when scored, if the layer was not captured.

    Example:
        >>> maps = Activations({"conv": torch.tensor([[3.0, 4.0]]).view(1, 2, 1, 1)})
        >>> centred_direction("conv", [3.0, 4.0], toward=[1.0, 0.0], around=1).score(maps)
        tensor([6.])
    """
    name = "centred_direction"
    vectors = as_vectors(vector, name)
    others = vectors if toward is None else as_vectors(toward, name)
    if others.shape != vectors.shape:
        raise BadInput(f"{name}: vector has shape {tuple(vectors.shape)}, but toward {tuple(others.shape)}")
    if not power >= 0 or not around >= 0:
        raise BadInput(f"{name}: power and around must be >= 0, got {power} and {around}")
    faithful, telling = Targets(vectors), Targets(others / others.norm(dim=1, keepdim=True))

    def score(activations: Activations) -> Tensor:
        maps, expected = matched(activations, layer, faithful, name)
        shown = activations.pick(telling(maps.device))
        dots = torch.einsum("bchw,bc->bhw", maps, shown.expand(len(maps), -1))
        length = maps.norm(dim=1) * expected.norm(dim=1)[:, None, None]
        cosines = torch.einsum("bchw,bc->bhw", maps, expected.expand(len(maps), -1)) / length.clamp_min(1e-12)
        y, x = maps.shape[2] // 2, maps.shape[3] // 2
        centre = cosines[:, y, x].clamp_min(LEAST_CENTRE)
        surroundings = (dots * cosines.clamp_min(LEAST_AROUND) ** HELP).mean((1, 2))
        return centre**power * dots[:, y, x] + around * centre**HELP * surroundings

    return Objective(
        f"centred_direction({layer})",
        (layer,),
        score,
        tuple(direction_label(layer, torch.cat(rows)) for rows in zip(vectors, others, strict=True)),
        form=(name, layer, power, around),
        targets=(faithful, telling),
    )
