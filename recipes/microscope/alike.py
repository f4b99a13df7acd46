"""Units alike: those whose activations go up and down over the same photographs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recipes.activations.correlation import LEAST, standardised
from recipes.options.names import address

if TYPE_CHECKING:
    from recipes.microscope.folders import SiteLayer

NEAREST = 8
"""Units of the same layer, and of the layers next to it."""
Found = dict[int, list[tuple[int, int, float]]]
"""Channel -> units alike: place of the layer, channel, and Pearson's r."""
Array = np.ndarray[Any, Any]


def alike(layers: Sequence[SiteLayer]) -> list[tuple[Found, Found]]:
    """The units most alike to each, by the correlation of their mean activations over the photographs.

    Args:
        layers: of the site, in order.

    Returns:
        For each layer, the nearest units within it, and those in the layer before and after; empty without
        photographs.
    """
    known = [standardised(layer.responses, address(layer.address), layer.channels) for layer in layers]
    found = []
    for place, own in enumerate(known):
        near = [other for other in (place - 1, place + 1) if 0 <= other < len(layers)]
        found.append((_nearest(known, layers, place, [place]), _nearest(known, layers, place, near)))
        if own is None:
            found[-1] = ({}, {})
    return found


def _nearest(known: Sequence[Array | None], layers: Sequence[SiteLayer], place: int, others: Sequence[int]) -> Found:
    own, candidates = known[place], list[tuple[int, int]]()
    blocks = []
    for other in others:
        values = known[other]
        if own is None or values is None or len(values) != len(own):
            continue
        correlations = own.T @ values
        if other == place:
            np.fill_diagonal(correlations, -1)
        blocks.append(correlations)
        candidates += [(other, channel) for channel in layers[other].channels]
    if not blocks:
        return {}
    every, found = np.concatenate(blocks, axis=1), Found()
    for row, channel in zip(every, layers[place].channels, strict=True):
        best = np.argsort(-row, kind="stable")[:NEAREST]
        found[channel] = [(*candidates[index], round(float(row[index]), 2)) for index in best if row[index] >= LEAST]
    return found
