"""A direction in activation space: many channels at once, weighted by a vector."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from inverter_errors import BadInput, OutOfRange, plural
from objectives.base import Activations, Objective
from objectives.targets import Targets
from objectives.units import as_map

Position = tuple[int, int] | Literal["center"]
"""A place in a map: (row, column), or its centre (H // 2, W // 2)."""


def direction(
    layer: str,
    vector: Tensor | Sequence[float],
    position: Position | None = None,
    power: float = 0,
) -> Objective:
    """Dot product with a vector times a power of the cosine, dot * max(.1, cos)^power (Carter et al. 2019).

    With power 0 it is the plain dot product of Olah et al. 2018; a higher power weighs the angle against the norm.

    Args:
        layer: address of a layer that outputs maps (B, C, H, W) or vectors (B, C).
        vector: (C,), or (N, C) for one direction per image.
        position: (row, column) in the map, "center" for its centre, None for the mean over all positions.
        power: exponent of the cosine, >= 0.

    Returns:
        The objective, with one target for each vector.

    Raises:
        BadInput: for a vector of another shape, not finite or all zero, a negative power or an unknown position; when
            scored, for a vector of another length than the layer has channels, or an activation of another shape.
        NotFound: when scored, for a position outside of the map (an `IndexError` as well), or if the layer was not
            captured.

    Example:
        >>> direction("conv", [3.0, 4.0]).score(Activations({"conv": torch.ones(1, 2, 2, 2)}))
        tensor([7.])
    """
    vectors = as_vectors(vector, "direction")
    if power < 0:
        raise BadInput(f"direction: power must be >= 0, got {power}")
    if isinstance(position, str) and position != "center":
        raise BadInput(f'direction: position must be (row, column), "center" or None, got {position!r}')
    on = Targets(vectors)

    def score(activations: Activations) -> Tensor:
        maps, expected = matched(activations, layer, on, "direction")
        if position is not None:
            y, x = (maps.shape[2] // 2, maps.shape[3] // 2) if isinstance(position, str) else position
            if not (0 <= y < maps.shape[2] and 0 <= x < maps.shape[3]):
                raise OutOfRange(
                    f"position ({y}, {x}) is outside the map of layer {layer!r}, "
                    f"which has {plural(maps.shape[2], 'row')} and {plural(maps.shape[3], 'column')} for this picture"
                )
            maps = maps[:, :, y : y + 1, x : x + 1]
        dot = (maps * expected[:, :, None, None]).sum(1)
        if power:
            length = maps.norm(dim=1) * expected.norm(dim=1)[:, None, None]
            dot = dot * (dot / length.clamp_min(1e-12)).clamp_min(0.1) ** power
        return dot.mean((1, 2))

    labels, form = tuple(direction_label(layer, row) for row in vectors), ("direction", layer, position, power)
    return Objective(f"direction({layer})", (layer,), score, labels, form=form, targets=(on,))


def as_vectors(vector: Tensor | Sequence[float], name: str) -> Tensor:
    """One vector (C,) or one for each image (N, C), as (N, C) float32 on the CPU; `name` is the objective's."""
    vectors = torch.as_tensor(vector, dtype=torch.float32, device="cpu").detach().clone()
    vectors = vectors[None] if vectors.ndim == 1 else vectors
    if vectors.ndim != 2 or not vectors.numel():
        raise BadInput(f"{name}: expected a vector (C,) or vectors (N, C), got shape {tuple(vectors.shape)}")
    if not bool(vectors.isfinite().all()) or bool((vectors == 0).all(1).any()):
        raise BadInput(f"{name}: every vector must be finite and not all zero")
    return vectors


def matched(activations: Activations, layer: str, on: Targets, name: str) -> tuple[Tensor, Tensor]:
    """A layer's maps (B, C, H, W) in float32, and the vectors of their pictures, (B, C) or (1, C)."""
    maps = as_map(activations[layer], layer).float()
    expected = activations.pick(on(maps.device))
    if expected.shape[1] != maps.shape[1]:
        raise BadInput(
            f"{name} has {plural(expected.shape[1], 'number')}, but layer {layer!r} has "
            f"{plural(maps.shape[1], 'channel')}"
        )
    if expected.shape[0] not in (1, maps.shape[0]):
        raise BadInput(
            f"{plural(expected.shape[0], 'target')} for a batch of "
            f"{plural(maps.shape[0], 'image')}: give one target, or one per image"
        )
    return maps, expected


def direction_label(layer: str, vector: Tensor) -> str:
    """A unique name: the three channels of the largest weights, and a hash of the full vector."""
    strongest = vector.abs().topk(min(3, len(vector))).indices.tolist()
    digest = hashlib.blake2b(vector.numpy().tobytes(), digest_size=4).hexdigest()
    return f"direction({layer}:" + "".join(f"{float(vector[i]):+.6g}*{i}" for i in strongest) + f"#{digest})"
