"""The fields of a recipe whose pictures may be held to the feature statistics of natural images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.options.fields import OPTIMISATION, option
from recipes.runner.context import RunContext, once
from recipes.runner.recipe import NetworkRecipe
from recipes.runner.units import Given, Problem

if TYPE_CHECKING:
    from inverter import Model
    from objectives import FeatureStatistics, Objective

UNIT_WEIGHT, CLASS_WEIGHT, ICON_WEIGHT = 0.03, 0.7, 0.1
"""Default weights, relative to the score: an activation can grow without bound, so that the weight that suits logits
would leave a unit hardly visible. docs/natural.md has what was tried."""
RUNNING = 3.0
"""Factor of the default weights for running statistics, which do not know how much each channel varies between
photographs: with one spread for all of a layer, pictures are nearer to them, and held less."""
BATCH_NORM = "bn"
"""In place of a file: the running statistics of the network's own batch normalisation."""


BUNDLED = "own"
"""In place of a file: the statistics that come with the bundled network."""


@dataclass(frozen=True, kw_only=True)
class NaturalFields:
    """A recipe that may add `objectives.naturally` to its objective, whatever that is."""

    natural: str | FeatureStatistics | None = option(
        None,
        "hold the features to those of natural images: a file of inverter statistics --model, bn for the running "
        "statistics of the network's batch normalisation, or own for those that come with the bundled network",
        group=OPTIMISATION,
    )
    natural_weight: float | None = option(
        None,
        "weight of the natural statistics relative to the objective's score (default: .7 for classes, .1 for atlases "
        "and grids, 1 for dreams, else .03; three times that with bn)",
        group=OPTIMISATION,
    )
    natural_sha256: str | None = option(None, "", hidden=True)

    @property
    def usual_natural_weight(self) -> float:
        """The weight where none is given."""
        return UNIT_WEIGHT

    def check_natural(self) -> None:
        """Raises a BadInput for a weight out of range, or without statistics."""
        if self.natural_weight is None:
            return
        if self.natural is None:
            raise BadInput("natural_weight is given but no statistics: set natural to a file, or to bn")
        if not 0 < self.natural_weight <= 1e6:
            raise BadInput(f"natural_weight must be above 0 and at most 1e6, got {self.natural_weight!r}")

    def feature_statistics(self, model: Model) -> FeatureStatistics | None:
        """The statistics of `natural`, if it is given.

        Args:
            model: the network under inspection.

        Raises:
            MissingFile: if there is no such file.
            BadInput: for another network's statistics, a file that has changed since the run that is repeated, or a
                network without statistics of batch normalisation.
        """
        if self.natural is None:
            return None
        from inverter import batch_norm_statistics
        from objectives import FeatureStatistics

        if self.natural == BATCH_NORM:
            return batch_norm_statistics(model)
        if self.natural == BUNDLED:
            from inverter.sources.builtin import FEATURES

            statistics = FeatureStatistics.load(FEATURES)
        elif isinstance(self.natural, str | Path):
            statistics = FeatureStatistics.load(self.natural)
            if self.natural_sha256 not in (None, _digest(self.natural)):
                raise BadInput(f"{self.natural} has changed since the run; give the run's own file")
        else:
            statistics = self.natural
        statistics.check(model.spec, model.sha256)
        return statistics

    def natural_settings(self, recorded: bool = False) -> dict[str, Any]:
        """The fields as the manifest has them; with the file's digest, `recorded` notices that it has changed."""
        if self.natural is None:
            return {}
        named = isinstance(self.natural, str | Path)
        settings: dict[str, Any] = {"natural": str(self.natural) if named else "statistics"}
        if recorded and named and self.natural not in (BATCH_NORM, BUNDLED):
            settings["natural_sha256"] = _digest(str(self.natural))
        return settings

    def held_natural(self, model: Model, objective: Objective, statistics: FeatureStatistics | None) -> Objective:
        """The objective with the statistics of the layers that run no later than its own, so that they are free."""
        if statistics is None:
            return objective
        from objectives import naturally

        layers = no_later(model, list(statistics.layers), objective.reads)
        usual = self.usual_natural_weight * (1.0 if statistics.images else RUNNING)
        return naturally(objective, statistics, self.natural_weight or usual, layers)


def no_later(model: Model, layers: Sequence[str], reads: Sequence[str]) -> list[str]:
    """Those of the layers that run no later than the last of `reads`, or the first layer if all do."""
    order = list(model.shapes(list(dict.fromkeys([*reads, *layers])), model.input_size))
    last = max(map(order.index, reads), default=len(order))
    return [layer for layer in layers if order.index(layer) <= last] or [layers[0]]


@dataclass(frozen=True, kw_only=True)
class NaturalRecipe(NaturalFields, NetworkRecipe):
    """A `NetworkRecipe` with these fields: whatever its problems maximise, the statistics are added to it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_natural()

    def settings(self) -> dict[str, Any]:
        return super().settings() | self.natural_settings()

    def recorded_settings(self, context: RunContext) -> dict[str, Any]:
        self._feature_statistics(context)  # another network's statistics are refused before the work
        return super().recorded_settings(context) | self.natural_settings(recorded=True)

    @once
    def _feature_statistics(self, context: RunContext) -> FeatureStatistics | None:
        return self.feature_statistics(context.model)

    def completed(self, context: RunContext, problem: Problem | Given) -> Problem | Given:
        """A problem as the recipe poses it, with the natural statistics added to its objective."""
        statistics = self._feature_statistics(context)
        if statistics is None or isinstance(problem, Given):
            return problem
        model = problem.model or context.model
        statistics.check(model.spec, model.sha256)
        return replace(problem, objective=self.held_natural(model, problem.objective, statistics))


def _digest(path: str | Path) -> str:
    import hashlib

    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
