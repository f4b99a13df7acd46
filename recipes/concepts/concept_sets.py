"""The places that users name for concepts and classes, and the activations of their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inverter_errors import BadInput
from recipes.activations.collect import CollectedActivations, collect
from recipes.activations.reducers import Extremes, Positions
from recipes.outputs.file_names import safe_name
from recipes.pictures.sets import PictureSet, picture_set

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback

Array = np.ndarray[Any, Any]

OTHERS = "negative"
"""Folder of the activations of the pictures without the concept."""


def named_places(places: Sequence[str], field: str) -> dict[str, str]:
    """Concepts by name: `NAME=PLACE`, or a place, whose last part is the name.

    Args:
        places: as the user wrote them.
        field: for errors.

    Raises:
        BadInput: for two of one name.

    Example:
        >>> named_places(["textures/striped", "dots=textures/d2"], "positive")
        {'striped': 'textures/striped', 'dots': 'textures/d2'}
    """
    found: dict[str, str] = {}
    for place in places:
        name, where = split_name(place)
        name = name or Path(where).stem or Path(where).resolve().stem
        if safe_name(name) in map(safe_name, found):
            raise BadInput(f"{field}: two concepts are named {name!r}: write NAME={where} for one of them")
        found[name] = where
    return found


def split_name(place: str) -> tuple[str, str]:
    """The name and the path of `NAME=PLACE`; a path that exists as it is has no name.

    Example:
        >>> split_name("zebra=photos/n02391049"), split_name("photos")
        (('zebra', 'photos/n02391049'), ('', 'photos'))
    """
    name, equals, where = place.partition("=")
    return (name.strip(), where) if equals and name.strip() and not Path(place).exists() else ("", place)


@dataclass(frozen=True, eq=False)
class ConceptSet:
    """Pictures of a concept, or without it, with their activations on disk.

    Attributes:
        pictures: the set.
        collected: what `collect` kept of it.
        pooled: True if activations are means over places.
    """

    pictures: PictureSet
    collected: CollectedActivations
    pooled: bool

    @classmethod
    def collect(
        cls,
        model: Model,
        places: str | Sequence[str],
        layers: Sequence[str],
        pooled: bool,
        out: Path,
        size: tuple[int, int],
        fresh: bool,
        progress: RunProgressCallback | None,
        executor: Executor,
    ) -> ConceptSet:
        """Runs the pictures through the network, or goes on with it.

        Args:
            model: the network.
            places: of the pictures.
            layers: addresses.
            pooled: as the attribute.
            out: folder for the activations.
            size: (height, width) of the pictures in pixels.
            fresh: as in `collect`.
            progress: as in `collect`.
            executor: as in `collect`.

        Raises:
            InverterError: as `collect`.
        """
        pictures = picture_set(places, len(model.mean), model.value_range)
        reducer = Extremes() if pooled else Positions("all", border=True, dtype="float32")
        found = collect(
            model, pictures, layers, reducer, out=out, size=size, fresh=fresh, progress=progress, executor=executor
        )
        return cls(pictures, found, pooled)

    def rows(self, layer: str) -> Array:
        """The activations of a layer, (N, F): F the channels, or all values of the layer, channel by channel."""
        if self.pooled:
            return np.asarray(self.collected.array(layer, "mean"))
        channels, height, width = self.collected.shapes[layer]
        vectors = np.asarray(self.collected.vectors(layer)).reshape(-1, height * width, channels)
        return vectors.transpose(0, 2, 1).reshape(len(vectors), -1)

    @property
    def readable(self) -> list[int]:
        """Indices of the pictures that could be read."""
        skipped = self.collected.skipped
        return [index for index, name in enumerate(self.collected.names) if name not in skipped]


def random_sets(count: int, size: int, runs: int, seed: int) -> list[tuple[Array, Array]]:
    """Two disjoint random sets of pictures for each run.

    Args:
        count: number of pictures to draw from.
        size: pictures in a set, at most half of `count`.
        runs: number of pairs.
        seed: of the draws.

    Returns:
        Pairs of indices, each (size,).

    Example:
        >>> [sorted({*a} & {*b}) for a, b in random_sets(6, 3, 2, seed=0)]
        [[], []]
    """
    draw = np.random.default_rng(seed)
    orders = [draw.permutation(count) for _ in range(runs)]
    return [(order[:size], order[size : 2 * size]) for order in orders]


def few(concepts: Mapping[str, int], others: int, photographs: Mapping[str, int]) -> list[str]:
    """Sentences on sets that are too small for a significance that can be relied on.

    Args:
        concepts: number of pictures of each concept.
        others: number of pictures without a concept.
        photographs: number of photographs of each class.
    """
    said = [
        f"{name} has {count} pictures: the paper takes 50 or more of a concept"
        for name, count in concepts.items()
        if count < ENOUGH
    ]
    largest = max(concepts.values(), default=0)
    if others < 2 * largest:
        said.append(
            f"there are {others} pictures without the concept, fewer than twice its {largest}: the sets are smaller"
        )
    elif others < INDEPENDENT * largest:
        said.append(
            f"random sets of {largest} are drawn from {others} pictures and overlap: p values are too small rather "
            "than too large"
        )
    return said + [
        f"{name} has {count} photographs: its score is a multiple of 1/{count}"
        for name, count in photographs.items()
        if count < ENOUGH
    ]


ENOUGH = 20
"""Pictures of a concept or class, below which a page says that they are few."""
INDEPENDENT = 10
"""Pictures without the concept, for each with it, below which random sets overlap much."""
