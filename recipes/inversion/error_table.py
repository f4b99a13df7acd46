"""What pre-images say together: a row for each layer and prior."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.outputs.manifest import Record

MEANS = ("relative_error", "normalized_error", "psnr", "ssim", "same_class", "judge_recognises")


def rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Means over the pictures of each layer and prior, of the figures they have; a share where one is yes or no."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.layer, str(record.prior)), []).append(record)
    table = []
    for (layer, prior), found in groups.items():
        row: dict[str, Any] = {"layer": layer, "prior": prior, "pictures": len(found)}
        for name in MEANS:
            values = [record.metrics[name] for record in found if record.metrics.get(name) is not None]
            if values:
                row[name] = fmean(map(float, values))
        table.append(row | {"steps": found[0].steps, "seconds": fmean(record.seconds for record in found)})
    return table
