"""The table of pre-images: mean errors for each layer and prior."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.outputs.manifest import Record

MEANS = ("relative_error", "normalized_error", "psnr", "ssim", "same_class")


def rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """The mean metrics of the pictures of each layer and prior.

    Args:
        records: of finished pre-images.

    Returns:
        A row for each layer and prior, with the means of those of `MEANS` that its pictures have, and of each judge's
        verdict (`..._recognises`); of metrics that are true or false, the fraction of true ones.
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.layer, str(record.prior)), []).append(record)
    table = []
    for (layer, prior), members in groups.items():
        row: dict[str, Any] = {"layer": layer, "prior": prior, "pictures": len(members)}
        verdicts = dict.fromkeys(name for one in members for name in one.metrics if name.endswith("_recognises"))
        for name in (*MEANS, *verdicts):
            values = [record.metrics[name] for record in members if record.metrics.get(name) is not None]
            if values:
                row[name] = fmean(map(float, values))
        table.append(row | {"steps": members[0].steps, "seconds": fmean(record.seconds for record in members)})
    return table
