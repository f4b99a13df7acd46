"""A recipe whose pictures of units come with the evidence for and against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.evidence.photographs import SMALLEST
from recipes.outputs.vocabulary import INPUTS, OK
from recipes.runner.context import RunContext, once
from recipes.runner.judge_fields import JudgeFields

if TYPE_CHECKING:
    from inverter import Model
    from recipes.outputs.manifest import Record


@dataclass(frozen=True, kw_only=True)
class EvidenceFields(JudgeFields):
    """The judges of a recipe of units, and what a run adds to its pictures once they are made."""

    @once
    def loaded_judges(self, context: RunContext) -> dict[str, Model]:
        """The judges by label."""
        return self.load_judges(getattr(self, "device", None), self.natural_size(context))

    def natural_size(self, context: RunContext) -> tuple[int, int]:
        """(height, width) in pixels of the natural pictures that the pictures are compared with."""
        size: tuple[int, int] = self.picture_size(context.model)  # type: ignore[attr-defined]
        return size

    def evidence(self, context: RunContext, records: Sequence[Record], folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """Metrics that compare the finished pictures with natural ones and with each other, by file."""
        from recipes.evidence.evidence import evidence, is_large_enough

        model = context.model
        shown = [record for record in records if record.objective not in INPUTS and record.status == OK]
        shown = [record for record in shown if is_large_enough(folder / record.file)]
        small = min(self.natural_size(context)) < SMALLEST
        comparable = len(model.mean) in (1, 3) and not model.show_channels and not small
        if not comparable or all("fails" in each.metrics for each in shown):
            return {}
        return evidence(model, self.loaded_judges(context), shown, folder, self.natural_size(context))

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        from recipes.evidence.verdict import summary

        shown = [record for record in records if record.objective not in INPUTS]
        measured = any(key in one.metrics for one in shown for key in ("percentile", *self.judge_labels, "two_patches"))
        return summary(shown, self.judge_labels) if measured and shown else []
