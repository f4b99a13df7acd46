"""What the evidence says of a picture: which of it fails, and a summary of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import TYPE_CHECKING, Any

from recipes.evidence.photographs import PHOTOGRAPHS

if TYPE_CHECKING:
    from recipes.outputs.manifest import Record

ABOVE = 99.0
"""A picture should score above this percentage of the natural pictures (below its complement, if it minimises)."""
GUESSING = 0.65
"""A judge that answers a smaller share of the questions about two patches right hardly does better than guessing."""
TOP = 5
"""A judge recognises a class that is among so many likeliest."""
FOOLS = ("judges", "two_patches")
"""A picture that fails these shows something else to everybody but its network: it fools."""
TWO_PATCHES = "two_patches"


def two_patches_key(label: str) -> str:
    """The metric of a judge's answers, of its label `judge` or `judge NAME`.

    Example:
        >>> two_patches_key("judge"), two_patches_key("judge resnet18")
        ('two_patches', 'two_patches resnet18')
    """
    return label.replace("judge", TWO_PATCHES, 1)


def rank(metrics: Mapping[str, Any], key: str, index: int | None) -> int | None:
    """The rank, from 0, of a class among a network's predictions in `metrics[key]`; None if it is not among them."""
    indices = [guess["index"] for guess in metrics.get(key) or ()]
    return indices.index(index) if index in indices else None


def failures(metrics: Mapping[str, Any], channel: int | None, direction: str, labels: Sequence[str]) -> list[str]:
    """Which evidence fails for a picture.

    Args:
        metrics: of the picture.
        channel: its class or channel.
        direction: "max" or "min".
        labels: of the judges.

    Returns:
        Of `percentile`, `judges` (no judge has the class among its likeliest), `two_patches` (all judges all but
        guess), `path` (it departs from that of natural pictures), `slope`, `burnt`, `saturation` (seldom so in
        photographs), those that fail.
    """
    found = []
    if (score := metrics.get("percentile")) is not None and (score if direction == "max" else 100 - score) < ABOVE:
        found.append("percentile")
    judged = [label for label in labels if label in metrics]
    if judged and all(rank(metrics, label, channel) is None for label in judged):
        found.append("judges")
    shares = [share for label in labels if (share := metrics.get(two_patches_key(label))) is not None]
    if shares and max(shares) < GUESSING:
        found.append("two_patches")
    if metrics.get("path_departs") is not None:
        found.append("path")
    for key, (low, high) in PHOTOGRAPHS.items():
        if key in metrics and not low <= metrics[key] <= high:
            found.append(key)
    return found


def summary(records: Iterable[Record], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The evidence of a run, a row for each layer.

    Args:
        records: of the pictures of units.
        labels: of the judges.

    Returns:
        JSON values: `layer`, the number of `pictures`, `above_99` (share that scores above that percentage of the
        natural pictures), of each judge `first` and `top5` (shares of the classes that it recognises) or the mean of
        `two_patches`, and `fools`, the share of pictures that fail what judges say. What was not measured is left out.
    """
    rows = []
    for layer, group in groupby(records, key=lambda record: record.layer):
        members = list(group)
        row: dict[str, Any] = {"layer": layer, "pictures": len(members)}
        scores = [
            value if record.direction == "max" else 100 - value
            for record in members
            if (value := record.metrics.get("percentile")) is not None
        ]
        if scores:
            row["above_99"] = sum(score >= ABOVE for score in scores) / len(scores)
        for label in labels:
            ranks = [rank(one.metrics, label, one.channel) for one in members if label in one.metrics]
            if ranks:
                row[f"{label}_first"] = sum(place == 0 for place in ranks) / len(ranks)
                row[f"{label}_top5"] = sum(place is not None for place in ranks) / len(ranks)
        fooled = sum(fools(one.metrics) for one in members) / len(members)
        rows.append(row | two_patches_means(members) | {"fools": fooled})
    return rows


def two_patches_means(records: Sequence[Record]) -> dict[str, float]:
    """The mean share of right answers of each judge, by metric.

    Args:
        records: of the pictures.
    """
    keys = dict.fromkeys(key for each in records for key in each.metrics if key.split(" ")[0] == TWO_PATCHES)
    known = {key: [value for each in records if (value := each.metrics.get(key)) is not None] for key in keys}
    return {key: fmean(values) for key, values in known.items() if values}


def fools(metrics: Mapping[str, Any]) -> bool:
    """Whether what judges say of a picture fails."""
    return any(name in FOOLS for name in metrics.get("fails") or ())
