"""A unit's responses to a dataset: the pictures that activate it most and least, where, and its distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recipes.activations.collect import CollectedActivations

QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
"""In percent of the pictures."""
BINS = 32
"""Number of bins of the histogram of activations."""
CHUNK = 64
"""Channels that are ranked at a time, which bounds the memory."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PatchRecord:
    """A unit's activation in one picture.

    Attributes:
        picture: index in the set.
        value: the unit's activation.
        at: (y, x) in the map; None if the activation is constant over the map.
    """

    picture: int
    value: float
    at: tuple[int, int] | None


@dataclass(frozen=True)
class Response:
    """A unit's responses to a set of pictures; each picture counts once, with its highest activation.

    Attributes:
        most: the pictures that activate it most, strongest first; empty if its activation is constant.
        least: the pictures that activate it least, weakest first.
        quantiles: of the activations, at QUANTILES percent of the pictures.
        counts: pictures in BINS bins of equal width between the lowest and the highest activation.
        fires: fraction of the pictures with an activation above 0.
        active: mean fraction of the map's positions above 0.
    """

    most: list[PatchRecord]
    least: list[PatchRecord]
    quantiles: list[float]
    counts: list[int]
    fires: float
    active: float


def responses(
    found: CollectedActivations, layer: str, channels: Sequence[int], objective: str, count: int
) -> list[Response]:
    """Ranks the pictures for some units of a layer.

    After a ReLU, a map is 0 somewhere in nearly every picture, and the order of these zeros is meaningless. If more
    than `count` pictures share the lowest value, `least` are those whose *highest* activation is lowest.

    Args:
        found: collected by `collect` with `Extremes`.
        layer: address.
        channels: indices of the units.
        objective: "channel" ranks by all positions, "neuron" by the central one; "logit" has only one.
        count: pictures in `most` and in `least`, at most.

    Returns:
        The responses of each channel.
    """
    answers: list[Response] = []
    for start in range(0, len(channels), CHUNK):
        answers += _ranked(found, layer, list(channels[start : start + CHUNK]), objective, count)
    return answers


def _ranked(found: CollectedActivations, layer: str, channels: list[int], objective: str, count: int) -> list[Response]:
    shape = found.shapes[layer]
    height, width = shape[1:] if len(shape) == 3 else (1, 1)

    def take(name: str) -> Array:
        return np.nan_to_num(found.array(layer, name)[:, channels], nan=0.0)

    if objective == "neuron":
        high = low = take("centre")
        high_at = low_at = np.full(high.shape, height // 2 * width + width // 2)
        flat = np.zeros(high.shape, bool)
    else:
        high, low, high_at, low_at = take("high"), take("low"), take("high_at"), take("low_at")
        flat = high == low
    active, pictures = take("active").mean(0), found.array(layer, "picture")

    def records(order: Array, values: Array, places: Array, column: int) -> list[PatchRecord]:
        where = [None if flat[i, column] else (int(places[i]) // width, int(places[i]) % width) for i in order]
        return [PatchRecord(int(pictures[i]), float(values[i]), at) for i, at in zip(order, where, strict=True)]

    answers = []
    for column in range(len(channels)):
        values, at = high[:, column], high_at[:, column]
        lowest, lowest_at = low[:, column], low_at[:, column]
        dead = values.max() == lowest.min()
        if (lowest == lowest.min()).sum() > count:
            lowest, lowest_at = values, at
        most, least = np.argsort(-values, kind="stable")[:count], np.argsort(lowest, kind="stable")[:count]
        answers.append(
            Response(
                most=[] if dead else records(most, values, at, column),
                least=[] if dead else records(least, lowest, lowest_at, column),
                quantiles=np.percentile(values, QUANTILES).tolist(),
                counts=np.histogram(values.astype(np.float64), BINS)[0].tolist(),
                fires=float((values > 0).mean()),
                active=float(active[column]),
            )
        )
    return answers


def measured(found: CollectedActivations, layer: str, channel: int, objective: str) -> Array:
    """A gallery objective's value of each picture, (N,): what the score of an optimised picture is compared with.

    Args:
        found: collected by `collect` with `Extremes`.
        layer: address.
        channel: index of the channel, or of the class.
        objective: "channel", "neuron", "logit" or "softmax".
    """
    if objective == "softmax":
        logits = found.array(layer, "high").astype(np.float64)
        logits -= logits.max(1, keepdims=True)
        logarithms: Array = logits[:, channel] - np.log(np.exp(logits).sum(1))
        return logarithms
    name = {"channel": "mean", "neuron": "centre", "logit": "high"}[objective]
    return np.asarray(found.array(layer, name)[:, channel])


def percentile(values: Array, score: float) -> float:
    """The percentage of `values` below `score`.

    Example:
        >>> percentile(np.array([1.0, 2.0, 3.0, 4.0]), 3.5)
        75.0
    """
    return 100 * float((values < score).mean())
