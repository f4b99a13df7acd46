"""What a page's header says of the evidence of its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inverter_errors import plural
from recipes.evidence.verdict import TWO_PATCHES, fools
from recipes.pages.manifest_view import Stat

EVIDENCE = frozenset({TWO_PATCHES, "path", "path_departs", "fails"})
"""What a page shows below a picture: metrics by the first word of their names."""


def notices(units: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence on the pictures that fool, if there are any.

    Args:
        units: of a manifest.

    Example:
        >>> notices([{"metrics": {"fails": ["judges", "burnt"]}}, {"metrics": {"fails": ["path"]}}, {}])
        ['1 of 3 pictures fools: judges do not see in it what its network sees; it is marked.']
    """
    count = sum(fools(unit.get("metrics") or {}) for unit in units)
    if not count:
        return []
    rest = (
        "fools: judges do not see in it what its network sees; it is"
        if count == 1
        else ("fool: judges do not see in them what their network sees; each is")
    )
    return [f"{count:,} of {plural(len(units), 'picture')} {rest} marked."]


def evidence_stats(rows: Sequence[Mapping[str, Any]]) -> list[Stat]:
    """The evidence of all layers together.

    Args:
        rows: of the manifest's table, from `summary`.

    Example:
        >>> rows = [{"pictures": 3, "above_99": 1.0}, {"pictures": 1, "above_99": 0.0}]
        >>> [stat.value for stat in evidence_stats(rows)]
        ['75 %']
    """
    stats = []
    if (high := _mean(rows, "above_99")) is not None:
        hint = "share of the pictures that activate their unit more than 99 % of the dataset do"
        stats.append(Stat("Above 99 % of dataset", f"{high:.0%}".replace("%", " %"), hint))
    for key in dict.fromkeys(key for row in rows for key in row if key.startswith(TWO_PATCHES)):
        hint = "how often a judge assigns two natural patches to two units rightly, given their pictures; guesses: 50 %"
        name = key.removeprefix(TWO_PATCHES).strip()
        stats.append(Stat(f"Two patches{name and ', '}{name}", f"{_mean(rows, key) or 0:.0%}".replace("%", " %"), hint))
    return stats


def _mean(rows: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """The mean over the pictures of all rows that have a value."""
    known = [(row[key], row.get("pictures", 1)) for row in rows if isinstance(row.get(key), int | float)]
    return sum(value * count for value, count in known) / sum(count for _, count in known) if known else None
