"""Judging heat maps: which of the methods say something true, measured on real pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.attribution.localization.box_files import HELP as BOXES
from recipes.attribution.registry import MethodChoice
from recipes.heatmaps.shared import PictureQuestions, asked_units, original_units, with_channels
from recipes.options.fields import LARGEST, check_whole, option
from recipes.options.names import safe_name
from recipes.options.targets import HELP as TARGETS
from recipes.options.targets import TOP, Target
from recipes.pages.by_picture import ORIGINAL
from recipes.runner.units import Given, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.attribution.localization.boxes import Box
    from recipes.attribution.measures.judge import Judge, Verdict
    from recipes.outputs.manifest import Record

CHANCE = "chance"
"""The row of the table that says what a map of noise reaches."""
MEASURES = ("pointing", "energy", "iou", "insertion", "deletion", "infidelity", "target_change", "shift")
HARDLY = 0.5
"""A method whose |maps| keep this rank correlation, on average, while the upper half of the layers forgets what it has
learned, hardly depends on the weights. Guided backpropagation does not (Adebayo et al. 2018), edges have 1."""


@dataclass(frozen=True, kw_only=True)
class JudgeMaps(PictureQuestions):
    """Which heat maps are true: pointing, insertion and deletion, randomised weights, and more, as a table of methods.

    For each picture and method the folder has the map over the picture (`NAME.png`), and a strip of the map alone and
    what it becomes as the weights are drawn anew from the top layer down (`NAME-randomised.png`).

    Raises:
        BadInput: for a missing picture, text of another form, or (in `run`) what does not fit the model or the boxes.

    Example:
        >>> JudgeMaps(image="photo.jpg", method=["grad-cam", "guided-backprop"], out="OUT").name
        'judge-maps'
    """

    name: ClassVar[str] = "judge-maps"

    target: str = option(f"logit:{TOP}", TARGETS)
    layer: str | None = option(None, "where methods look that need a layer (default: the last maps before the target)")
    against: str | None = option(
        None, "another target, with which a map must change (default: for a class, the picture's next best class)"
    )
    boxes: str | None = option(None, BOXES)
    margin: int = option(15, "pixels beside a box that still count in the pointing game")
    points: int = option(32, "of the insertion and deletion curves")
    depths: int = option(8, "numbers of randomised layers at which maps are compared; 0: each layer")
    squares: int = option(64, "parts of a picture that are removed to measure infidelity")
    out: str = option("judged-maps", "output folder")
    batch_size: int | None = option(4, "pictures judged together")

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, least in (("margin", 0), ("points", 1), ("depths", 0), ("squares", 1)):
            check_whole(key, getattr(self, key), least, LARGEST)
        if len(self._targets) > 1:
            raise BadInput(f"target: got {self.target!r}; expected one, and --against for another to compare with")
        _ = self._against

    @property
    def _target(self) -> Target:
        return self._targets[0]

    @cached_property
    def _against(self) -> Target | None:
        return None if self.against is None else Target.parse(self.against)

    @cached_property
    def _folders(self) -> dict[str, MethodChoice]:
        """Where the files of a method lie."""
        return {f"images/{safe_name(str(choice))}": choice for choice in self._choices}

    def settings(self) -> dict[str, Any]:
        against = None if self._against is None else str(self._against)
        return super().settings() | {"target": str(self._target), "against": against}

    def units(self, model: Model) -> list[Unit]:
        from recipes.attribution.api import resolve_layer

        if self.layer is not None and not any(choice.method().movable for choice in self._choices):
            raise BadInput(f"layer {self.layer!r} is given, but no method looks at a layer: leave it out")
        names, target = self._readable(model), self._target.resolved(model)
        judge = self._judge(model, tuple(names[:1]))
        _ = self._boxes, judge.scores  # all is told before anything is written
        objective, size = target.objective(model, judge.images), self.picture_size(model)
        for choice in self._choices:
            resolve_layer(model, objective, choice, self.layer if choice.method().movable else None, size)
        units: list[Unit] = []
        for number, batch in enumerate(self._batches(model, names)):
            asked = original_units(batch)
            for folder in self._folders:
                asked += (_with_strip(unit) for unit in asked_units(folder, target, batch))
            units += (replace(unit, batch=f"{number} {unit.batch}") for unit in asked)
        return units

    @cached_property
    def _told(self) -> dict[str, dict[str, Any]]:
        """What the manifest tells of a unit, by file: on its way from `problem` to `metrics`."""
        return {}

    @cached_property
    def _boxes(self) -> dict[str, list[Box]]:
        from recipes.attribution.localization.box_files import read_boxes

        return {} if self.boxes is None else read_boxes(self.boxes, self._files)

    @cached_property
    def _judge(self) -> Callable[[Model, tuple[str, ...]], Judge]:
        """Of pictures by name: the latest is kept, because methods share what does not depend on them."""
        return lru_cache(1)(self._judge_of)

    def _judge_of(self, model: Model, names: Sequence[str]) -> Judge:
        from recipes.attribution.measures.judge import Effort, Judge

        images, boxes = self._pictures(model, names), [self._fitted(model, name) for name in names]
        effort = Effort(self.points, self.depths, self.squares)
        return Judge(model, images, self._target, self._against, self.layer, boxes, self.margin, effort, self.seed)

    def _fitted(self, model: Model, name: str) -> list[Box]:
        """The boxes of a picture where they lie once it is as the network sees it."""
        from recipes.attribution.localization.box_files import fit_box
        from recipes.pictures.reading import read_picture

        if name not in self._boxes:
            return []
        _, *shape = read_picture(self._files[name], len(model.mean)).shape
        moved = (fit_box(box, (shape[0], shape[1]), self.picture_size(model)) for box in self._boxes[name])
        return [box for box in moved if box]

    def problem(self, model: Model, units: Sequence[Unit]) -> Given:
        import torch

        from recipes.outputs.colormap import overlay

        judge = self._judge(model, tuple(str(unit.image) for unit in units))
        if units[0].objective == ORIGINAL:
            for unit, metrics, boxes in zip(units, judge.random_baseline(), judge.boxes, strict=True):
                told = {"method": CHANCE, **metrics} | ({"boxes": [list(box) for box in boxes]} if boxes else {})
                self._told[unit.file] = told | {"source": self._files[str(unit.image)].name}
            return Given(judge.images)
        choice = self._folders[units[0].file.rpartition("/")[0]]
        verdicts, shown = judge(choice), []
        for unit, image, verdict, score in zip(units, judge.images, verdicts, judge.scores, strict=True):
            told = {"method": str(choice), "target": str(self._target), "value": score}
            self._told[unit.file] = told | verdict.metrics
            self._keep(unit, verdict)
            shown.append(overlay(image, verdict.map, verdict.metrics["signed"]))
        if self._target.single:
            units = with_channels(model, self._target, units, judge.channels)
        return Given(torch.stack(shown), units)

    def _keep(self, unit: Unit, verdict: Verdict) -> None:
        """Writes the strip beside a unit's picture, which is written last."""
        import torch

        from recipes.outputs.atomic import write_png
        from recipes.outputs.colormap import plain

        strip = [plain(heat, verdict.metrics["signed"]) for heat in (verdict.map, *verdict.randomised)]
        write_png(Path(self.out) / unit.extra_files["strip"], torch.cat(strip, 2))

    def metrics(self, model: Model, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        return [self._told.pop(unit.file) for unit in units]

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """Means over the pictures, a row for each method; the last row is what a map of noise would reach."""
        methods = list(dict.fromkeys(record.metrics["method"] for record in records))
        rows = [_row(method, [r.metrics for r in records if r.metrics["method"] == method]) for method in methods]
        return sorted(rows, key=lambda row: row["method"] == CHANCE)

    def closing(self, records: Sequence[Record]) -> str | None:
        known = {row["method"]: row["weights"] for row in self.table(records) if "weights" in row}
        if not known:
            return None
        hardly = [method for method, weights in known.items() if weights == "hardly"]
        return f"hardly depends on the weights: {', '.join(hardly) or 'none'}"

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.heatmaps.judge_maps_page import render_judge_maps

        return render_judge_maps(manifest)


def _row(method: str, metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The means of what the measures say of a method's maps; a measure that none of them has is left out."""
    row: dict[str, Any] = {"method": method, "pictures": len(metrics)}
    columns = {name: [each.get(name) for each in metrics] for name in MEASURES}
    columns["randomised_half"] = [each.get("upper") for each in metrics]
    columns["randomised_all"] = [depths[-1]["size"] for each in metrics if (depths := each.get("cascade"))]
    for name, values in columns.items():
        if known := [value for value in values if value is not None]:
            row[name] = sum(known) / len(known)
    if "randomised_half" in row:
        row["weights"] = "hardly" if row["randomised_half"] >= HARDLY else "depends"
    return row


def _with_strip(unit: Unit) -> Unit:
    return replace(unit, extra_files={"strip": f"{unit.file.removesuffix('.png')}-randomised.png"})
