"""Whether judges see in an icon the class that its cell supports most, and whether they see it in the cell's photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from inverter import Model
from recipes.activations.predictions import top_classes
from recipes.atlas.labels.judged_shares import ICON, PHOTOGRAPHS
from recipes.evidence.natural_patches import Patch, Pictures
from recipes.evidence.verdict import TOP
from recipes.options.indices import count_classes

if TYPE_CHECKING:
    from recipes.outputs.manifest import Record

CELLS = 16
"""Cells in one step: the pictures of so many are in memory."""


def judged_icons(
    model: Model, judges: Mapping[str, Model], records: Sequence[Record], folder: Path
) -> dict[str, dict[str, Any]]:
    """What judges say of icons and of their cells' examples.

    Args:
        model: the network under inspection.
        judges: further networks, by label; those with another number of classes are left out.
        records: of the icons.
        folder: of the icons, and of the pictures of their examples.

    Returns:
        For each file of an icon with a class, metrics to add: `class_in_icon` and, where there are examples,
        `class_in_photographs`; of several judges `class_in_icon NAME`, ...
    """
    shown = [record for record in records if record.metrics.get("classes")]
    found: dict[str, dict[str, Any]] = {record.file: {} for record in shown}
    if not shown:
        return found
    classes = count_classes(model)
    for label, judge in judges.items():
        if count_classes(judge) != classes:
            continue
        icon, photographs = (label.replace("judge", name, 1) for name in (ICON, PHOTOGRAPHS))
        for start in range(0, len(shown), CELLS):
            for record, (own, *others) in _recognised(judge, shown[start : start + CELLS], folder):
                found[record.file][icon] = own
                if others:
                    found[record.file][photographs] = fmean(others)
    return found


def _recognised(judge: Model, records: Sequence[Record], folder: Path) -> list[tuple[Record, list[bool]]]:
    """Whether the judge has the class of each cell among its likeliest: for the icon, then for each example."""
    import torch

    pictures, size = Pictures(len(judge.mean)), judge.size_for(None)
    patches = [
        [Patch(folder / record.file)]
        + [Patch(folder / each["picture"], tuple(each["window"])) for each in record.metrics.get("examples") or ()]
        for record in records
    ]
    guesses = iter(top_classes(judge, torch.stack([pictures.cut(p, size) for row in patches for p in row]), TOP))
    return [
        (record, [record.metrics["classes"][0]["index"] in [guess.index for guess in next(guesses)] for _ in row])
        for record, row in zip(records, patches, strict=True)
    ]
