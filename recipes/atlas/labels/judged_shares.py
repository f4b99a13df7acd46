"""How often judges see the class of a cell in its icon: the table's and the page's summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from recipes.pages.manifest_view import Stat

if TYPE_CHECKING:
    from recipes.outputs.manifest import Record

ICON, PHOTOGRAPHS = "class_in_icon", "class_in_photographs"
"""Metrics of an icon: whether a judge has the cell's strongest class among its five likeliest, for the icon; the share
of the cell's examples, each cut to its receptive field, for which it has. With several judges, followed by a name."""
CLASS_CELLS = "class_cells"
"""Number of cells whose strongest class a judge sees in at least one of their examples."""


def class_shares(records: Sequence[Record]) -> dict[str, float]:
    """Of the cells whose strongest class a judge sees in at least one example: the share of icons, and of examples.

    Args:
        records: of the icons.

    Returns:
        The means of `class_in_icon` and `class_in_photographs` over these cells, and `class_cells`, their number; the
        second is what photographs reach by the same measure.
    """
    shares: dict[str, float] = {}
    keys = dict.fromkeys(key for each in records for key in each.metrics if key.split(" ")[0] == PHOTOGRAPHS)
    for key in keys:
        icon = key.replace(PHOTOGRAPHS, ICON, 1)
        reached = [each.metrics for each in records if each.metrics.get(key)]
        if reached:
            shares[icon] = fmean(each[icon] for each in reached)
            shares[key] = fmean(each[key] for each in reached)
            shares[key.replace(PHOTOGRAPHS, CLASS_CELLS, 1)] = len(reached)
    return shares


def class_stats(rows: Sequence[Mapping[str, Any]]) -> list[Stat]:
    """The shares of all grids together, for the head of a page.

    Args:
        rows: of the manifest's table.

    Example:
        >>> row = {"class_in_icon": 0.5, "class_in_photographs": 0.4, "class_cells": 10}
        >>> [(stat.label, stat.value) for stat in class_stats([row])]
        [('Class seen in icons', '50 %')]
    """
    stats = []
    for key in dict.fromkeys(key for row in rows for key in row if key.split(" ")[0] == ICON):
        name = key.removeprefix(ICON).strip()
        known = [row for row in rows if key in row]
        counts = [row[key.replace(ICON, CLASS_CELLS, 1)] for row in known]
        icons, photographs = (
            sum(row[each] * count for row, count in zip(known, counts, strict=True)) / sum(counts)
            for each in (key, key.replace(ICON, PHOTOGRAPHS, 1))
        )
        hint = (
            f"of {sum(counts)} cells for which a judge has the strongest class among its five likeliest for at least "
            f"one example: the share of icons for which it has; of single examples {100 * photographs:.0f} %"
        )
        stats.append(Stat(f"Class seen in icons{name and ', '}{name}", f"{100 * icons:.0f} %", hint))
    return stats
