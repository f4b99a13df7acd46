"""Judging heat maps: which of the methods say something true, measured on real pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from recipes.attribution.registry import HELP as METHODS
from recipes.attribution.registry import MethodChoice
from recipes.box_files import HELP as BOXES
from recipes.naming import safe_name
from recipes.recipe import Given, Recipe, Unit, option
from recipes.targets import HELP as TARGETS
from recipes.targets import TOP, Target

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.attribution.boxes import Box
    from recipes.attribution.judging import Judge, Verdict
    from recipes.outputs.manifest import Record

ORIGINAL = "original"
"""The objective that the manifest gives to a picture that was given."""
CHANCE = "chance"
"""The row of the table that says what a map of noise reaches."""
MEASURES = ("pointing", "energy", "iou", "insertion", "deletion", "infidelity", "target_change", "shift")
HARDLY = 0.5
"""A method whose |maps| keep this rank correlation, on average, while the upper half of the layers forgets what it has
learned, hardly depends on the weights. Guided backpropagation does not (Adebayo et al. 2018), edges have 1."""


@dataclass(frozen=True, kw_only=True)
class JudgeMaps(Recipe):
    """Which heat maps are true: pointing, insertion and deletion, randomised weights, and more, as a table of methods.

    For each picture and method the folder has the map over the picture (`NAME.png`), and a strip of the map alone and
    what it becomes as the weights are drawn anew from the top layer down (`NAME-randomised.png`).

    Raises:
        ValueError: for a missing picture, text of another form, or (in `run`) what does not fit the model or the boxes.

    Example:
        >>> JudgeMaps(image="photo.jpg", method=["grad-cam", "guided-backprop"], out="OUT").name
        'judge-maps'
    """

    name: ClassVar[str] = "judge-maps"

    image: str | Sequence[str] = option((), "a picture, or a folder of pictures; may be repeated", repeat=True)
    target: str = option(f"logit:{TOP}", TARGETS)
    method: str | Sequence[str] = option("grad-cam", f"{METHODS}; may be repeated", repeat=True)
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
    size: int | None = option(
        None, "side of the pictures as the network sees them, in pixels (default: the model's input size)"
    )
    batch_size: int | None = option(4, "pictures judged together")
    steps: int | None = option(None, "", hidden=True)
    learning_rate: float | None = option(None, "", hidden=True)
    precision: str = option("float32", "", hidden=True)
    augment: str = option("none", "", hidden=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("image", "method"):
            values = _texts(getattr(self, key))
            if not values or not all(isinstance(value, str | Path) and str(value) for value in values):
                raise ValueError(f"{key}: got {getattr(self, key)!r}; expected one or more texts (--{key})")
        for key, least in (("margin", 0), ("points", 1), ("depths", 0), ("squares", 1)):
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{key} must be a whole number of at least {least}, got {value!r}")
        _ = self._target, self._against, self._choices

    @cached_property
    def _target(self) -> Target:
        return Target.parse(self.target)

    @cached_property
    def _against(self) -> Target | None:
        return None if self.against is None else Target.parse(self.against)

    @cached_property
    def _choices(self) -> dict[str, MethodChoice]:
        """By folder, in the order given, each once."""
        return {_folder(choice): choice for choice in map(MethodChoice.parse, _texts(self.method))}

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The pictures by a name that tells them apart."""
        from recipes.pictures import named_pictures

        return named_pictures(_texts(self.image))

    def settings(self) -> dict[str, Any]:
        # One way to write what may be written in several, so that a run can be continued with any of them.
        return super().settings() | {
            "image": [str(place) for place in _texts(self.image)],
            "target": str(self._target),
            "method": [str(choice) for choice in self._choices.values()],
            "against": None if self._against is None else str(self._against),
        }

    def units(self, model: Model) -> list[Unit]:
        from recipes.attribution.explaining import place
        from recipes.judge import class_name

        names, size = list(self._files), self.picture_size(model)
        judge = self._judge(model, names)  # all is checked now, before anything is written
        scores, target = judge.scores(), self._target.resolved(model)
        if self.layer is not None and not any(choice.method().movable for choice in self._choices.values()):
            raise ValueError(f"layer {self.layer!r} is given, but no method looks at a layer: leave it out")
        for choice in self._choices.values():
            objective = target.objective(model, judge.images)
            place(model, objective, choice, self.layer if choice.method().movable else None, size)
        named = target.kind not in ("direction", "layer")
        channels = target.channels(model, judge.images) if named else [None] * len(names)
        for name, score in zip(names, scores, strict=True):
            self._scores[name] = score
        units = [Unit("", None, ORIGINAL, f"originals/{name}.png", image=name, batch=ORIGINAL) for name in names]
        units += [
            Unit(
                layer=target.layer,
                channel=channel,
                objective=target.kind,
                file=f"{folder}/{safe_name(name)}.png",
                name=class_name(model.categories, channel) if target.of_class and channel is not None else None,
                image=name,
                batch=folder,
            )
            for folder in self._choices
            for name, channel in zip(names, channels, strict=True)
        ]
        return units

    @cached_property
    def _scores(self) -> dict[str, float]:
        """What the target says of each picture: filled by `units`."""
        return {}

    @cached_property
    def _told(self) -> dict[str, dict[str, Any]]:
        """What the manifest tells of a unit, by file: filled by `problem`."""
        return {}

    @cached_property
    def _boxes(self) -> dict[str, list[Box]]:
        from recipes.box_files import read_boxes

        return {} if self.boxes is None else read_boxes(self.boxes, self._files)

    @cached_property
    def _judges(self) -> dict[tuple[str, ...], Judge]:
        """Of each batch of pictures, kept because methods share what does not depend on them."""
        return {}

    def _judge(self, model: Model, names: Sequence[str]) -> Judge:
        import torch

        from recipes.attribution.judging import Effort, Judge
        from recipes.box_files import fitted
        from recipes.pictures import fit, read_picture

        if known := self._judges.get(tuple(names)):
            return known
        size, channels = self.picture_size(model), len(model.mean)
        pictures: list[Tensor] = []
        boxes: list[list[Box]] = []
        for name in names:
            picture = read_picture(self._files[name], channels)
            shape = (picture.shape[1], picture.shape[2])
            moved = (fitted(box, shape, size) for box in self._boxes.get(name, ()))
            pictures.append(fit(picture, size))
            boxes.append([box for box in moved if box])
        effort = Effort(self.points, self.depths, self.squares)
        self._judges[tuple(names)] = Judge(
            model,
            torch.stack(pictures),
            self._target,
            self._against,
            self.layer,
            boxes,
            self.margin,
            effort,
            self.seed,
        )
        return self._judges[tuple(names)]

    def problem(self, model: Model, units: Sequence[Unit]) -> Given:
        import torch

        from recipes.outputs.heat import overlay

        judge = self._judge(model, [str(unit.image) for unit in units])
        if units[0].objective == ORIGINAL:
            for unit, figures, boxes in zip(units, judge.chance(), judge.boxes, strict=True):
                told = {"method": CHANCE, **figures} | ({"boxes": [list(box) for box in boxes]} if boxes else {})
                self._told[unit.file] = told | {"source": self._files[str(unit.image)].name}
            return Given(judge.images)
        if str(units[0].image) not in self._scores:  # another process was told of these units
            self.units(model)
        choice = self._choices[units[0].batch]
        verdicts = judge(choice)
        for unit, verdict in zip(units, verdicts, strict=True):
            told = {"method": str(choice), "target": str(self._target), "value": self._scores[str(unit.image)]}
            self._told[unit.file] = told | verdict.figures | self._keep(unit, verdict)
        pictures = zip(judge.images, verdicts, strict=True)
        return Given(torch.stack([overlay(image, each.map, each.figures["signed"]) for image, each in pictures]))

    def _keep(self, unit: Unit, verdict: Verdict) -> dict[str, Any]:
        """Writes the strip beside a unit's picture, which is written last."""
        import torch

        from recipes.outputs.heat import plain
        from recipes.outputs.media import write_png

        file = f"{unit.file.removesuffix('.png')}-randomised.png"
        signed = verdict.figures["signed"]
        strip = [plain(heat, signed) for heat in (verdict.map, *verdict.randomised)]
        write_png(Path(self.out) / file, torch.cat(strip, 2))
        return {"strip": file}

    def figures(self, model: Model, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        return [self._told[unit.file] for unit in units]

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """Means over the pictures, a row for each method; the last row is what a map of noise would reach."""
        methods = list(dict.fromkeys(record.figures["method"] for record in records))
        rows = [_row(method, [r.figures for r in records if r.figures["method"] == method]) for method in methods]
        return sorted(rows, key=lambda row: row["method"] == CHANCE)

    def closing(self, records: Sequence[Record]) -> str | None:
        known = {row["method"]: row["weights"] for row in self.table(records) if "weights" in row}
        if not known:
            return None
        hardly = [method for method, weights in known.items() if weights == "hardly"]
        return f"hardly depends on the weights: {', '.join(hardly) or 'none'}"

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.outputs.judged_maps import render_judge_maps

        return render_judge_maps(manifest)


def _row(method: str, figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The means of what the measures say of a method's maps; a measure that none of them has is left out."""
    row: dict[str, Any] = {"method": method, "pictures": len(figures)}
    columns = {name: [each.get(name) for each in figures] for name in MEASURES}
    columns["randomised_half"] = [each.get("upper") for each in figures]
    columns["randomised_all"] = [depths[-1]["size"] for each in figures if (depths := each.get("cascade"))]
    for name, values in columns.items():
        if known := [value for value in values if value is not None]:
            row[name] = sum(known) / len(known)
    if "randomised_half" in row:
        row["weights"] = "hardly" if row["randomised_half"] >= HARDLY else "depends"
    return row


def _folder(choice: MethodChoice) -> str:
    return f"images/{safe_name(str(choice))}"


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str | Path) else tuple(value)
