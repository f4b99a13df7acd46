"""The smallest change of photographs that makes a network see something else."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from inverter_errors import BadInput
from recipes.adversarial.targets import ABOVE, ANY, HELP, Threshold, parse_target
from recipes.heatmaps.shared import PictureRecipe, original_units
from recipes.options.fields import check_integer, option, texts
from recipes.options.names import OUTPUT_LAYER
from recipes.options.targets import Target
from recipes.outputs.file_names import safe_name
from recipes.outputs.vocabulary import ORIGINAL
from recipes.runner.context import RunContext, latest, once
from recipes.runner.judge_fields import JudgeFields
from recipes.runner.units import Given, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.adversarial.goals import Goal
    from recipes.adversarial.least_change import Norm
    from recipes.adversarial.observer import Observer
    from recipes.outputs.manifest import Record

NORMS = ("l2", "linf")
MADE = "adversarial"
"""The objective of changed pictures."""
REFERENCES = 4
"""Pictures of the run, the first ones, whose distance from a picture says how far apart two pictures are."""
MOST_STEPS = 100_000


@dataclass(frozen=True, kw_only=True)
class Adversarial(JudgeFields, PictureRecipe):
    """The smallest change of photographs that makes a network see something else (Szegedy et al. 2014).

    For each photograph, target and norm the output folder has the changed picture, which survives its 8-bit file, and
    the amplified difference (`NAME-difference.png`). The manifest has the size of the change, what the network and the
    judges see before and after, and how far the paths of both pictures are apart in each stage of the network.

    Raises:
        BadInput: for no image, another norm, text of another form, or a unit without a value to exceed.

    Example:
        >>> Adversarial(image="photo.jpg", target="goldfish", norm=["l2", "linf"], out="OUT").name
        'adversarial'
    """

    name: ClassVar[str] = "adversarial"
    reserved: ClassVar[tuple[str, ...]] = ("-difference",)

    target: str | Sequence[str] = option(ANY, f"{HELP}; may be repeated", repeat=True, grows=True)
    norm: str | Sequence[str] = option(
        "l2", "size that is made least: l2, or linf (the largest change of any value); may be repeated", repeat=True,
        grows=True,
    )  # fmt: skip
    above: str | float | None = option(None, ABOVE)
    among: str | Sequence[str] | None = option(
        None, "picture or folder whose values a percentile of above is of; may be repeated", repeat=True
    )
    steps: int | None = option(50, "steps of the search; half as many follow on 8-bit pictures")
    out: str = option("adversarial", "output folder")
    batch_size: int | None = option(8, "pictures changed together")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_judge()
        check_integer("steps", self.steps, 1, MOST_STEPS)
        if not self._targets or not self._norms:
            raise BadInput("target and norm: got none; expected one or more of each")
        for norm in self._norms:
            if norm not in NORMS:
                raise BadInput(f"norm: got {norm!r}; expected {' or '.join(NORMS)}")
        units = [text for text, target in self._targets.items() if target is not None and not target.of_class]
        if units and self.above is None:
            raise BadInput(f"target {units[0]}: a unit has no class to become; set above to a value, or to 99%")
        if self.above is not None and not any(self._targets.values()):
            raise BadInput(f"above is given, but the target {ANY} has no value to exceed: leave it out")
        percentile = self.above is not None and Threshold.parse(self.above).percent is not None
        if percentile != (self.among is not None):
            raise BadInput("a percentile in above and pictures in among belong together: give both, or none")

    @property
    def _targets(self) -> dict[str, Target | None]:
        """The targets by their text, in one spelling; None is any other class."""
        found = (parse_target(text) for text in texts(self.target))
        return {ANY if target is None else str(target): target for target in found}

    @property
    def _targeted(self) -> Iterable[Target]:
        return filter(None, self._targets.values())

    @property
    def _folders(self) -> dict[str, tuple[str, str]]:
        """Target and norm of the changed pictures, by the folder of their files."""
        return {f"changed/{safe_name(text)}-{norm}": (text, norm) for text in self._targets for norm in self._norms}

    @property
    def _norms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(texts(self.norm)))

    def settings(self) -> dict[str, Any]:
        above = None if self.above is None else str(self.above)
        among = None if self.among is None else list(map(str, texts(self.among)))
        own = {"target": list(self._targets), "norm": list(self._norms), "above": above, "among": among}
        return super().settings() | self.judge_settings() | own

    def recorded_settings(self, context: RunContext) -> dict[str, Any]:
        weights = {label: judge.sha256 for label, judge in self._judges(context).items()}
        return super().recorded_settings(context) | ({"judge_sha256": weights} if weights else {})

    def units(self, context: RunContext) -> list[Unit]:
        from recipes.options.indices import count_classes

        model = context.model
        if None in self._targets.values():
            count_classes(model, size=self.picture_size(model))
        targets = {text: None if t is None else t.resolved(model) for text, t in self._targets.items()}
        for target in filter(None, targets.values()):
            self._threshold(context, target)
        units: list[Unit] = []
        for number, batch in enumerate(self._batches(context)):
            members = original_units(batch)
            for folder in self._folders:
                members += (self._unit(name, file, folder, targets) for name, file in batch.items())
            units += (replace(unit, batch=f"{number} {unit.batch}") for unit in members)
        return units

    def _unit(self, name: str, file: Path, folder: str, targets: Mapping[str, Target | None]) -> Unit:
        text, norm = self._folders[folder]
        target = targets[text]
        return Unit(
            OUTPUT_LAYER if target is None else target.layer,
            None if target is None else target.channel,
            MADE,
            f"{folder}/{safe_name(name)}.png",
            image=name,
            batch=folder,
            made_from=f"{norm} {text} in {file}",
            extra_files={"difference": f"{folder}/{safe_name(name)}-difference.png"},
        )

    @once
    def _judges(self, context: RunContext) -> dict[str, Model]:
        return self.load_judges(self.device, self.picture_size(context.model))

    @once
    def _threshold(self, context: RunContext, target: Target) -> float | None:
        """The value that a target is to exceed; None for a class that is to become the predicted one."""
        from recipes.adversarial.thresholds import percentile_of

        if self.above is None:
            return None
        threshold = Threshold.parse(self.above)
        if threshold.percent is None:
            return threshold.value
        return percentile_of(
            context.model, target, texts(self.among or ()), threshold.percent, self.picture_size(context.model)
        )

    @latest
    def _originals(self, context: RunContext, names: tuple[str, ...]) -> Tensor:
        """Pictures as their 8-bit files hold them at the network's input size, (B, C, H, W)."""
        from recipes.adversarial.least_change import as_bytes

        return as_bytes(self._read(context, names))

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Given:
        from recipes.adversarial.least_change import least_change
        from recipes.adversarial.measures import as_file

        images = self._originals(context, tuple(str(unit.image) for unit in units))
        if units[0].objective == ORIGINAL:
            return Given(images)
        started, model = time.perf_counter(), context.model
        text, norm = self._folders[units[0].file.rpartition("/")[0]]
        here = images.to(model.device)
        goal = self._goal(context, text, here)
        found = least_change(model, goal, here, cast("Norm", norm), self.steps or 1)
        changed = as_file(found.images.cpu())
        seconds = (time.perf_counter() - started) / len(units)
        target = self._targets[text]
        threshold = None if target is None else self._threshold(context, target.resolved(model))
        seen = self._observer(context)([str(unit.image) for unit in units], target, threshold, images, changed)
        metrics = [
            {
                "target": text,
                "norm": norm,
                "reached": reached,
                "continuous": continuous if math.isfinite(continuous) else None,
                "seconds": seconds,
                "amplified": self._write_difference(context, unit, image, copy),
                **observed,
            }
            for unit, image, copy, reached, continuous, observed in zip(
                units, images, changed, found.reached.tolist(), found.continuous.tolist(), seen, strict=True
            )
        ]
        return Given(changed, metrics=metrics)

    def _goal(self, context: RunContext, text: str, images: Tensor) -> Goal:
        from inverter import encode
        from objectives.units import as_map
        from recipes.adversarial.goals import above, other_class, this_class

        model, target = context.model, self._targets[text]
        if target is None:
            scores = as_map(encode(model, images, "")[""], "").mean((2, 3))
            return other_class("", scores.argmax(1).tolist())
        known = target.resolved(model)
        threshold = self._threshold(context, known)
        if threshold is not None:
            return above(known.objective(model, images), threshold)
        return this_class(known.address, int(known.which))

    @once
    def _observer(self, context: RunContext) -> Observer:
        """What looks at the changed pictures: the network, the judges, and its stages."""
        from inverter import stages
        from recipes.adversarial.observer import Observer
        from recipes.adversarial.paths import points

        model, size = context.model, self.picture_size(context.model)
        names, layers = list(self.pictures(context).files)[:REFERENCES], stages(model, size)
        return Observer(
            model, self._judges(context), size, layers, names, points(model, layers, self._read(context, names))
        )

    def _write_difference(self, context: RunContext, unit: Unit, image: Tensor, changed: Tensor) -> int:
        """Writes the amplified difference of a unit, whose picture is written last; returns the factor."""
        from recipes.adversarial.measures import amplified
        from recipes.outputs.atomic import write_png
        from recipes.outputs.provenance import provenance
        from recipes.outputs.rendering.showing import Showing

        difference, factor = amplified(image, changed)
        about = provenance(self.name, self.settings(), unit, self.growing)
        file = Path(self.out) / unit.extra_files["difference"]
        write_png(file, Showing.of(context.model).picture(difference), about)
        return factor

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        """The metrics of the input images: file name and, for a classifier, the top classes."""
        from recipes.adversarial.measures import seen_classes

        files, seen = (
            self.pictures(context).files,
            seen_classes(context.model, images, self.picture_size(context.model)),
        )
        return [
            {"source": files[str(unit.image)].name, "top5": classes} for unit, classes in zip(units, seen, strict=True)
        ]

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """For each target and norm, in how many photographs the goal was reached, and the medians of the sizes."""
        from recipes.adversarial.summary import summary

        return summary([record.metrics for record in records if record.objective == MADE])

    def closing(self, records: Sequence[Record]) -> str | None:
        made = [record for record in records if record.objective == MADE]
        missed = sum(not record.metrics.get("reached") for record in made)
        return f"{missed} of {len(made)} did not reach their goal: more steps may" if missed else None

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.adversarial.page import render_adversarial

        return render_adversarial(manifest)
