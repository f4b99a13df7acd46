"""The tables of a comparison: each pair of layers, and each layer with itself under each warp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from recipes.activations.collect import CollectedActivations
from recipes.compare.alignment import cka, debiased_cka
from recipes.compare.collected import Collected
from recipes.compare.matches import Matching, match_units
from recipes.compare.moments import Moments, moments, square_norms, total
from recipes.compare.ridge import Ridge, chance_error, identity_error

Array = np.ndarray[Any, Any]
Report = Callable[[], None]
"""Called after each pair of layers."""


@dataclass
class Pairs:
    """Compares the layers of a pass pair by pair.

    Attributes:
        found: with the array `vectors` of each layer.
        layers: addresses.
    """

    found: CollectedActivations
    layers: Sequence[str]
    _own: dict[str, tuple[list[Moments], Array, Ridge]] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, report: Report) -> tuple[list[dict[str, Any]], dict[tuple[str, str], Matching]]:
        """All pairs.

        Args:
            report: called after each pair.

        Returns:
            A row for each pair, and the matching of its units.
        """
        rows, matchings = [], {}
        for first, second in combinations(self.layers, 2):
            row, matchings[first, second] = self._pair(first, second)
            rows.append(row)
            report()
        return rows, matchings

    def _of(self, layer: str) -> tuple[list[Moments], Array, Ridge]:
        """The moments of a layer, the squared norms of its centred rows, and regressions from it."""
        if layer not in self._own:
            rows = self.found.array(layer, "vectors")
            own = moments(rows)
            all_parts = total(own)
            self._own[layer] = own, square_norms(rows, all_parts.x / all_parts.count), Ridge(own)
        return self._own[layer]

    def _pair(self, first: str, second: str) -> tuple[dict[str, Any], Matching]:
        (x, x_norms, from_x), (y, y_norms, from_y) = self._of(first), self._of(second)
        xy = moments(self.found.array(first, "vectors"), self.found.array(second, "vectors"))
        matching = match_units(x, xy, y)
        sums = total(x), total(xy), total(y)
        row = {
            "layer": first,
            "other": second,
            "cka": cka(*sums),
            "cka_debiased": debiased_cka(*sums, x_norms, y_norms),
            "explained": 1 - from_x.fit(xy, y).error,
            "explained_back": 1 - from_y.fit([each.flipped for each in xy], x).error,
            "match": matching.forward,
            "match_back": matching.back,
            "mutual": matching.mutual,
        }
        return _finite(row), matching


def equivariance(collected: Collected, layers: Sequence[str], report: Report) -> list[dict[str, Any]]:
    """How well the activations of warped pictures follow from those of the pictures themselves, layer by layer.

    Lenc and Vedaldi 2015, "Understanding image representations by measuring their equivariance and equivalence",
    section 4: phi(g x) = A phi(x) warped, with a linear map A over the channels of a place.

    Args:
        collected: what was collected.
        layers: addresses, in order.
        report: called after each layer and warp.

    Returns:
        A row for each warp and layer, all errors relative to predicting the mean: `error` of the learnt map on the
        held-out half of the pictures, `identity` of A = 1 on it, and `baseline` of A = 1 on the activations of another
        picture.
    """
    rows = []
    for warp, by_layer in collected.places.items():
        for layer in layers:
            places = by_layer[layer]
            origins = collected.plain.array(layer, places.warp.file_name)
            targets = collected.warped[warp].array(layer, "vectors")
            x, xy, y = moments(origins), moments(origins, targets), moments(targets)
            fit = Ridge(x).fit(xy, y)
            held_out = [total(each[2:]) for each in (x, xy, y)]
            own, cross, same = _centre(held_out, places.neighbourhood)
            error, identity = fit.error, identity_error(own, cross, same)
            row = {
                "layer": layer,
                "warp": warp,
                "error": error,
                "identity": identity,
                "baseline": chance_error(own, same),
            }
            row |= {"error_of_identity": error / identity if identity > 0 else None, "penalty": fit.penalty}
            rows.append(_finite(row))
            report()
    return rows


def _centre(held_out: Sequence[Moments], neighbourhood: int) -> tuple[Moments, Moments, Moments]:
    """The moments of the place itself, without its neighbours."""
    x, xy, y = held_out
    channels = len(y.x)
    start = neighbourhood**2 // 2 * channels
    own = slice(start, start + channels)
    return (
        Moments(x.count, x.x[own], x.y[own], x.xy[own, own]),
        Moments(xy.count, xy.x[own], xy.y, xy.xy[own]),
        y,
    )


def nearest_pairs(rows: Sequence[dict[str, Any]], networks: Sequence[str]) -> list[tuple[str, str]]:
    """For each layer, the pair with the layer that it is most like; of several networks, with one of another network.

    Args:
        rows: of `Pairs`.
        networks: names of the networks; empty for a single one.

    Returns:
        Pairs as the rows have them, each once, in their order.
    """

    def network(layer: str) -> str:
        return layer.partition(":")[0] if networks else layer

    rivals = [row for row in rows if network(row["layer"]) != network(row["other"])]
    best: dict[str, dict[str, Any]] = {}
    for row in rivals:
        for layer in (row["layer"], row["other"]):
            if layer not in best or (row["cka_debiased"] or 0) > (best[layer]["cka_debiased"] or 0):
                best[layer] = row
    chosen = {id(row) for row in best.values()}
    return [(row["layer"], row["other"]) for row in rivals if id(row) in chosen]


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN."""
    return {key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in row.items()}
