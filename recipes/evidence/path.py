"""Whether a network processes a picture as it processes natural pictures of the same unit, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from objectives.units import as_map
from recipes.evidence.natural_patches import Patch, Pictures

BATCH = 16
"""Pictures in one forward pass."""
DEPARTS = 0.05
"""A picture that so few patches of other units are less alike to its unit's than, takes another path."""


@torch.no_grad()
def path_activations(model: Model, layers: Sequence[str], patches: Sequence[Patch]) -> dict[str, Tensor]:
    """A network's activations of patches: of the complete picture, then the mean over the positions in the window.

    Args:
        model: the network under inspection.
        layers: addresses.
        patches: B of them; those of one picture take one forward pass.

    Returns:
        Layer -> (B, C) on the CPU.
    """
    of_file: dict[Path, list[int]] = {}
    for place, patch in enumerate(patches):
        of_file.setdefault(patch.file, []).append(place)
    pictures = Pictures(len(model.mean))
    rows: dict[str, list[Tensor]] = {layer: [torch.empty(0)] * len(patches) for layer in layers}
    with model.capture(layers) as capture:
        for part, shown in batches(model, layers, list(of_file), pictures):
            seen = capture(model.normalize(shown.to(model.device)))
            for layer in layers:
                for file, maps in zip(part, as_map(seen[layer], layer).float().cpu(), strict=True):
                    for place in of_file[file]:
                        rows[layer][place] = _mean(maps, patches[place], pictures.read(file).shape[1:])
    return {layer: torch.stack(each) for layer, each in rows.items()}


def batches(
    model: Model, layers: Sequence[str], files: Sequence[Path], pictures: Pictures
) -> Iterator[tuple[list[Path], Tensor]]:
    """Picture files as a network takes them, (B, C, H, W): of one size each time, their own where it takes that.

    Args:
        model: the network.
        layers: addresses of the layers to read.
        files: the pictures.
        pictures: reads them.

    Yields:
        The files of a batch, and their pictures.
    """
    for own, members in groupby(files, key=lambda file: tuple(pictures.read(file).shape[1:])):
        size = model.nearest_size(layers, (own[0], own[1]))
        listed = list(members)
        for start in range(0, len(listed), BATCH):
            part = listed[start : start + BATCH]
            yield part, pictures.stacked(part, size)


def path_ranks(
    pictures: Mapping[str, Tensor], naturals: Mapping[str, Tensor], owner: Sequence[int], same: Tensor
) -> list[list[float]]:
    """How alike the paths of a picture and of its unit's natural patches are, layer by layer, among other patches.

    After Geirhos et al. 2023, "Don't trust your eyes", figure 5, which compares cosines of activations with those of
    natural pictures of the same and of other classes. For unit u with natural patches N(u), in a layer,

        s(x) = mean over n in N(u) of cos(a(x), a(n)),      r = share of other units' patches o with s(o) < s(picture),

    with equality counting half: .5 is as alike as the patch of any other unit, 1 more alike than all, 0 unlike all of
    them. (The paper divides by the difference of two mean cosines, which hardly differ in early layers.)

    Args:
        pictures: layer -> activations a of the U units' pictures, (U, C).
        naturals: layer -> activations of all natural patches, (N, C).
        owner: of each natural patch, the place of its unit, from 0 to U - 1.
        same: (N, N), True for natural patches that show the same.

    Returns:
        For each unit r in each layer; no numbers for a unit without patches, or where there are none of others.

    Example:
        >>> patches = torch.tensor([[1.0, 0.1], [1.0, 0.2], [0.1, 1.0], [0.2, 1.0]])
        >>> path_ranks({"a": torch.eye(2)}, {"a": patches}, [0, 0, 1, 1], torch.eye(4, dtype=torch.bool))
        [[1.0], [1.0]]
    """
    owners = torch.tensor(owner, dtype=torch.long)
    curves: list[list[float]] = [[] for _ in next(iter(pictures.values()))]
    for layer, seen in pictures.items():
        natural = F.normalize(naturals[layer], dim=1)
        alike, cosines = natural @ natural.T, F.normalize(seen, dim=1) @ natural.T
        for unit, curve in enumerate(curves):
            mine = owners == unit
            others = ~mine & ~same[mine].any(0)
            if bool(mine.any()) and bool(others.any()):
                rival, own = alike[others][:, mine].mean(1), cosines[unit, mine].mean()
                curve.append(float((rival < own).float().mean() + (rival == own).float().mean() / 2))
    return curves


def departure(layers: Sequence[str], curve: Sequence[float]) -> str | None:
    """The first layer in which a picture is unlike nearly all natural pictures: r is below `DEPARTS`.

    Args:
        layers: addresses, in order.
        curve: of a unit, from `path_ranks`.

    Returns:
        Its address; None if there is none.

    Example:
        >>> departure(["a", "b", "c"], [0.5, 0.4, 0.02])
        'c'
    """
    return next((layer for layer, value in zip(layers, curve, strict=True) if value < DEPARTS), None)


def _mean(maps: Tensor, patch: Patch, size: Sequence[int]) -> Tensor:
    """The mean of maps (C, h, w) over the positions that a patch's window covers, (C,)."""
    if patch.window is None:
        return maps.mean((1, 2))
    top, left, bottom, right = patch.window
    rows, columns = maps.shape[1:]
    high = slice(top * rows // size[0], -(-bottom * rows // size[0]))
    wide = slice(left * columns // size[1], -(-right * columns // size[1]))
    return maps[:, high, wide].mean((1, 2))
