"""Facets: one of the several things that a unit responds to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput, plural
from objectives.base import Activations, Objective
from objectives.targets import Targets
from objectives.units import as_map


def facet(
    unit: Objective,
    layer: str,
    vector: Tensor | Sequence[float],
    mean: Tensor | Sequence[float] | None = None,
    power: float = 4,
) -> Objective:
    """A unit as far as a picture shows one of its facets: f(x) * ((1 + cos(g(x) - mean, vector)) / 2)^power.

    g is the mean over the positions of a lower layer. As in faceted feature visualization (Goh et al. 2021, "Multimodal
    neurons", appendix), a linear probe of that layer says which of the things that activate the unit is meant; here
    it weighs the unit's score by the angle instead of adding to it, so that no strength has to be tuned to the layer.
    The probe may be the difference between the mean codes of two groups of the unit's top patches (Nguyen et al. 2016,
    "Multifaceted feature visualization", find such groups by clustering).

    Args:
        unit: the unit, any objective.
        layer: address of the lower layer, which outputs maps (B, C, H, W) or vectors (B, C).
        vector: (C,), or (N, C) for one facet per image.
        mean: (C,), the mean code of natural images, from which directions are counted, or (N, C), one per facet; None
            for 0.
        power: exponent of the cosine, > 0.

    Returns:
        The objective, with one target for each facet, or for each target of the unit.

    Raises:
        BadInput: for vectors of another shape, not finite or all zero, or a power of 0 or less; when scored, for
            a vector of another length than the layer has channels.
        NotFound: when scored, if a layer was not captured.

    Example:
        >>> bright = Objective("bright", (), lambda activations: activations.image.mean((1, 2, 3)))
        >>> one = facet(bright, "conv", [3.0, 4.0])
        >>> one.score(Activations({"conv": torch.tensor([[3.0, 4.0], [4.0, -3.0]])}, torch.ones(2, 3, 4, 4)))
        tensor([1.0000, 0.0625])
    """
    vectors = torch.as_tensor(vector, dtype=torch.float32, device="cpu").detach().clone()
    vectors = vectors[None] if vectors.ndim == 1 else vectors
    if vectors.ndim != 2 or not bool(vectors.isfinite().all()) or not bool((vectors.norm(dim=1) > 0).all()):
        raise BadInput(
            f"facet: expected a vector (C,) or vectors (N, C), finite, not all zero; got shape {tuple(vectors.shape)}"
        )
    if power <= 0:
        raise BadInput(f"facet: power must be > 0, got {power}")
    centre = torch.zeros_like(vectors[:1])
    if mean is not None:
        centre = torch.as_tensor(mean, dtype=torch.float32, device="cpu").detach().clone()
        centre = centre[None] if centre.ndim == 1 else centre
    if centre.shape not in (vectors.shape, vectors[:1].shape):
        shape = tuple(centre.shape[1:] if len(centre) == 1 else centre.shape)
        raise BadInput(f"facet: expected a mean ({vectors.shape[1]},) as the vectors have, got {shape}")
    on, origin = Targets(vectors), Targets(centre)

    def share(activations: Activations) -> Tensor:
        code = as_map(activations[layer], layer).float().mean((2, 3))
        expected = activations.pick(on(code.device))
        if expected.shape[1] != code.shape[1]:
            raise BadInput(
                f"facet has {plural(expected.shape[1], 'number')}, but layer {layer!r} has "
                f"{plural(code.shape[1], 'channel')}"
            )
        return ((1 + F.cosine_similarity(code - activations.pick(origin(code.device)), expected, dim=1)) / 2) ** power

    names = [f"facet({layer}#{i})" for i in range(len(vectors))]
    form = ("facet", layer, power)
    return unit * Objective(f"facet({layer})", (layer,), share, tuple(names), form=form, targets=(on, origin))
