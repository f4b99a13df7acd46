"""Evaluation of attribution methods: how faithful their heat maps are, measured on input images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.attribution.localization.box_files import HELP as BOXES
from recipes.attribution.registry import MethodChoice
from recipes.heatmaps.shared import HeatMapRecipe, map_units, original_units, with_channels
from recipes.options.fields import LARGEST, check_integer, option
from recipes.options.targets import HELP as TARGETS
from recipes.options.targets import TOP, Target
from recipes.outputs.file_names import safe_name
from recipes.outputs.vocabulary import ORIGINAL
from recipes.runner.context import RunContext, latest, once
from recipes.runner.units import Given, Unit

if TYPE_CHECKING:
    from recipes.attribution.localization.boxes import Box
    from recipes.attribution.measures.judge import Judge, Verdict
    from recipes.outputs.manifest import Record

BASELINE = "random"
"""The row of the table with the results of random maps."""
MEASURES = ("pointing", "energy", "iou", "insertion", "deletion", "infidelity", "target_change", "shift")
HARDLY = 0.5
"""A method hardly depends on the weights if its |maps| keep this rank correlation, on average, while the weights of the
upper half of the layers are randomised (Adebayo et al. 2018: guided backpropagation). An edge detector has 1."""


@dataclass(frozen=True, kw_only=True)
class JudgeMaps(HeatMapRecipe):
    """A comparison of attribution methods by measures of faithfulness, as a table with a row for each method.

    The measures are the pointing game, energy and IoU with annotated boxes, insertion and deletion (Petsiuk et al.
    2018), weight randomisation (Adebayo et al. 2018), infidelity, the change with another target, and the sensitivity
    to a constant shift of the input.

    For each image and method the output folder has the map over the image (`NAME.png`), and a strip of the map alone
    and the maps as the weights are randomised from the top layer down (`NAME-randomised.png`).

    Raises:
        BadInput: for a missing image, text of another form, or (in `run`) an option that does not fit the model or the
            boxes.

    Example:
        >>> JudgeMaps(image="photo.jpg", method=["grad-cam", "guided-backprop"], out="OUT").name
        'judge-maps'
    """

    name: ClassVar[str] = "judge-maps"

    target: str = option(f"logit:{TOP}", TARGETS, grows=False)
    layer: str | None = option(
        None, "layer of methods that need one (default: the last feature maps before the target)"
    )
    against: str | None = option(
        None, "second target, for which the map must change (default: for a class, the runner-up class of each image)"
    )
    boxes: str | None = option(None, BOXES)
    tolerance: int = option(15, "margin in pixels around a box that counts as a hit in the pointing game", was="margin")
    points: int = option(32, "steps of the insertion and deletion curves")
    depths: int = option(8, "stages of weight randomisation at which maps are compared; 0: every layer")
    squares: int = option(64, "random squares that are removed to measure infidelity")
    out: str = option("judged-maps", "output folder")
    batch_size: int | None = option(4, "images evaluated together")

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, least in (("tolerance", 0), ("points", 1), ("depths", 0), ("squares", 1)):
            check_integer(key, getattr(self, key), least, LARGEST)
        if len(self._targets) > 1:
            raise BadInput(f"target: got {self.target!r}; expected one target; set against for a second one")
        _ = self._against

    @property
    def _target(self) -> Target:
        return self._targets[0]

    @property
    def _against(self) -> Target | None:
        return None if self.against is None else Target.parse(self.against)

    @property
    def _folders(self) -> dict[str, MethodChoice]:
        """The methods, by the folder of their files."""
        return {f"images/{safe_name(str(choice))}": choice for choice in self._choices}

    def settings(self) -> dict[str, Any]:
        against = None if self._against is None else str(self._against)
        return super().settings() | {"target": str(self._target), "against": against}

    def units(self, context: RunContext) -> list[Unit]:
        from recipes.attribution.api import resolve_layer

        model = context.model
        if self.layer is not None and not any(choice.method().movable for choice in self._choices):
            raise BadInput(f"layer {self.layer!r} is given, but none of the methods takes a layer: leave it out")
        names, target = list(self.pictures(context).files), self._target.resolved(model)
        judge = self._judge(context, tuple(names[:1]))
        _ = self._boxes(context), judge.scores  # errors are raised before anything is written
        objective, size = target.objective(model, judge.images), self.picture_size(model)
        for choice in self._choices:
            resolve_layer(model, objective, choice, self.layer if choice.method().movable else None, size)
        units: list[Unit] = []
        for number, batch in enumerate(self._batches(context)):
            members = original_units(batch)
            for folder, choice in self._folders.items():
                members += (_with_strip(unit) for unit in map_units(folder, target, str(choice), batch))
            units += (replace(unit, batch=f"{number} {unit.batch}") for unit in members)
        return units

    @once
    def _boxes(self, context: RunContext) -> dict[str, list[Box]]:
        from recipes.attribution.localization.box_files import read_boxes

        return {} if self.boxes is None else read_boxes(self.boxes, self.pictures(context).files)

    @latest
    def _judge(self, context: RunContext, names: tuple[str, ...]) -> Judge:
        """The evaluation of images by name: methods share the results that do not depend on them."""
        from recipes.attribution.measures.judge import Effort, Judge

        images, boxes = self._read(context, names), [self._fitted(context, name) for name in names]
        effort = Effort(self.points, self.depths, self.squares)
        return Judge(
            context.model, images, self._target, self._against, self.layer, boxes, self.tolerance, effort, self.seed
        )

    def _fitted(self, context: RunContext, name: str) -> list[Box]:
        """The boxes of an image, in pixels of the image as the network receives it."""
        from recipes.attribution.localization.box_files import fit_box
        from recipes.pictures.reading import read_picture

        boxes, model = self._boxes(context).get(name, []), context.model
        if not boxes:
            return []
        file = self.pictures(context).files[name]
        _, *shape = read_picture(file, len(model.mean), value_range=model.value_range).shape
        moved = (fit_box(box, (shape[0], shape[1]), self.picture_size(model)) for box in boxes)
        return [box for box in moved if box]

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Given:
        import torch

        from recipes.outputs.rendering.colormap import overlay
        from recipes.outputs.rendering.showing import Showing

        showing = Showing.of(context.model)
        judge, metrics = self._judge(context, tuple(str(unit.image) for unit in units)), list[dict[str, Any]]()
        if units[0].objective == ORIGINAL:
            files = self.pictures(context).files
            for unit, measures, boxes in zip(units, judge.random_baseline(), judge.boxes, strict=True):
                found = {"method": BASELINE, **measures} | ({"boxes": [list(box) for box in boxes]} if boxes else {})
                metrics.append(found | {"source": files[str(unit.image)].name})
            return Given(judge.images, metrics=metrics)
        choice = self._folders[units[0].file.rpartition("/")[0]]
        verdicts, shown = judge(choice), []
        for unit, image, verdict, score in zip(units, judge.images, verdicts, judge.scores, strict=True):
            found = {"method": str(choice), "target": str(self._target), "value": score}
            metrics.append(found | verdict.metrics)
            self._write_strip(unit, verdict)
            shown.append(overlay(showing.picture(image), verdict.map, verdict.metrics["signed"]))
        if self._target.single:
            units = with_channels(context.model, self._target, units, judge.channels)
        return Given(torch.stack(shown), units, metrics, drawn=True)

    def _write_strip(self, unit: Unit, verdict: Verdict) -> None:
        """Writes the strip of a unit, whose picture is written last."""
        import torch

        from recipes.outputs.atomic import write_png
        from recipes.outputs.provenance import provenance
        from recipes.outputs.rendering.colormap import plain

        strip = [plain(heat, verdict.metrics["signed"]) for heat in (verdict.map, *verdict.randomised)]
        about = provenance(self.name, self.settings(), unit, self.growing)
        write_png(Path(self.out) / unit.extra_files["strip"], torch.cat(strip, 2), about)

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """Means over the images, a row for each method; the last row is the random baseline."""
        methods = list(dict.fromkeys(record.metrics["method"] for record in records))
        rows = [_row(method, [r.metrics for r in records if r.metrics["method"] == method]) for method in methods]
        return sorted(rows, key=lambda row: row["method"] == BASELINE)

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
    """The mean of each measure over the maps of a method; without the measures that no map has."""
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
