"""The table of changed pictures: for each target and norm, how often the goal was reached, and by how much change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any


def summary(metrics: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each target and norm.

    Args:
        metrics: of the changed pictures.

    Returns:
        The number of pictures, the share that `reached` the goal, and among those the medians of `continuous` (the norm
        before rounding), of the norm in the file (`median`, in [0, 1] units, and `median_255`), and the share of
        pictures with which each judge is fooled (`LABEL_fooled`).

    Example:
        >>> made = {"target": "any", "norm": "l2", "reached": True, "continuous": 0.1, "l2": 0.2, "l2_255": 51.0}
        >>> summary([made])[0]["median"]
        0.2
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in metrics:
        groups.setdefault((str(each.get("target")), str(each.get("norm"))), []).append(each)
    rows = []
    for (target, norm), members in groups.items():
        reached = [each for each in members if each.get("reached")]
        row: dict[str, Any] = {"target": target, "norm": norm, "pictures": len(members)}
        row["reached"] = len(reached) / len(members)
        for name, key in (("continuous", "continuous"), ("median", norm), ("median_255", f"{norm}_255")):
            known = [each[key] for each in reached if each.get(key) is not None]
            row[name] = median(known) if known else None
        for label in dict.fromkeys(judge["label"] for each in reached for judge in each.get("judges", ())):
            verdicts = [judge["fooled"] for each in reached for judge in each["judges"] if judge["label"] == label]
            known = [verdict for verdict in verdicts if verdict is not None]
            row[f"{label}_fooled"] = sum(known) / len(known) if known else None
        rows.append(row)
    return rows
