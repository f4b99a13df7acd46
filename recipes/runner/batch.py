"""One batch of a recipe's units, from the problem to finished pictures: the same wherever it is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from inverter import Film, Model, Progress, Settings, evaluate
from inverter.isolation.determinism import deterministic
from inverter.scoring import uncropped
from recipes.outputs.manifest import Record
from recipes.outputs.rendering.films import Films
from recipes.outputs.rendering.showing import Showing
from recipes.outputs.vocabulary import OK, SILENT, VIDEO
from recipes.runner.base import UnitPlan
from recipes.runner.context import RunContext
from recipes.runner.out_of_memory import optimize_in_halves
from recipes.runner.units import Given, Problem, Unit

GREY = 2 / 255
"""A picture whose values differ by less than this has never left grey."""

ImagesCallback = Callable[[int, int, Callable[[], Tensor]], None]
"""Called after every step of a batch: with the number of steps done, the number of all, and a function that returns the
pictures as they are now, as they are optimised (before `Problem.finish`): (B, C, H, W) in [0, 1] on the CPU. It is
called in the callback, if at all."""


@dataclass(frozen=True, eq=False)
class Finished:
    """A batch of finished pictures, (B, C, H, W) in [0, 1] on the CPU, and what there is to tell of each.

    Attributes:
        records: of the pictures.
        images: the pictures.
        alpha: True if their last channel is opacity.
        drawn: True for drawings, which are no pictures as the network takes them.
    """

    records: Sequence[Record]
    images: Tensor
    alpha: bool = False
    drawn: bool = False


def make(
    context: RunContext,
    settings: Settings,
    measure: bool,
    model: Model,
    units: Sequence[Unit],
    on_progress: Callable[[float], None],
    on_images: ImagesCallback | None = None,
) -> Finished:
    """Optimises one batch of units, measures and finishes it.

    The result depends on the arguments, the machine and torch's number of threads alone: neither on other batches nor
    on the process that calls this. In another batch a unit draws the same numbers, but sums may be made in another
    order; so a batch is always made complete.

    Args:
        context: of the run; in a worker, one that starts empty.
        settings: those of the run; the recipe's stages may differ from them.
        measure: False leaves out the recipe's metrics.
        model: the network in this process.
        units: of the batch.
        on_progress: called after every step with the share of the batch that is done, in [0, 1]. An exception in it, or
            in `on_images`, ends the batch.
        on_images: called after every step with the pictures as they are; not for pictures that exist already.

    Returns:
        The finished pictures with their records.
    """
    recipe = cast(UnitPlan, context.recipe)
    with deterministic(recipe.deterministic):  # a worker's process is not the one that `run` was called in
        shown = None if on_images is None else _Shown(on_images, len(units))
        return _made(recipe, context.at(model), settings, measure, model, units, _Watchers(on_progress, shown))


def _made(
    recipe: UnitPlan,
    context: RunContext,
    settings: Settings,
    measure: bool,
    model: Model,
    units: Sequence[Unit],
    watchers: _Watchers,
) -> Finished:
    work, count = recipe.completed(context, recipe.problem(context, units)), len(units)
    metrics: Sequence[Mapping[str, Any]] | None = None if measure else [{}] * count
    if isinstance(work, Given):
        images, outcomes, units = work.images, [_Outcome()] * count, work.units or units
        metrics = work.metrics if metrics is None else metrics
        finished = images
    else:
        film = Film() if measure and any(VIDEO in unit.extra_files for unit in units) else None
        films = Films(film, count)
        images, finished, outcomes = _optimised(context, settings, model, work, count, replace(watchers, film=film))
        if places := _poor(work, units, images, outcomes):
            again = recipe.completed(context, recipe.again(context, [units[place] for place in places]))
            assert isinstance(again, Problem)
            other = replace(settings, seed=settings.seed + 1)
            film = None if film is None else Film()
            quiet = _Watchers(lambda _share: watchers.on_progress(1.0), film=film)
            rivals = _optimised(context, other, model, again, len(places), quiet)
            better = _better(again, images[places], *rivals)
            for row, (place, image, written, outcome) in enumerate(zip(places, *rivals, strict=True)):
                seconds = outcomes[place].seconds + outcome.seconds
                if better[row]:
                    images[place], finished[place], outcomes[place] = image, written, outcome
                    films.take(place, film, row)
                outcomes[place] = replace(outcomes[place], tries=2, seconds=seconds)
        if film is not None:
            files = [unit.extra_files[VIDEO] for unit in units]
            films.write(Path(recipe.out), files, images, Showing.of(model, recipe.merged))
    if metrics is None:
        metrics = recipe.metrics(context, units, images)
    alpha = isinstance(work, Problem) and work.alpha
    drawn = isinstance(work, Given) and work.drawn
    return Finished([*map(partial(_record, seed=recipe.seed), units, outcomes, metrics)], finished, alpha, drawn)


def _optimised(
    context: RunContext,
    settings: Settings,
    model: Model,
    work: Problem,
    count: int,
    watchers: _Watchers,
) -> tuple[Tensor, Tensor, list[_Outcome]]:
    """The pictures of a problem as they were optimised, and as they are written, and what became of each."""
    network, transforms = work.model or model, cast(UnitPlan, context.recipe).transforms(context)
    stages = [replace(settings, **stage) for stage in work.stages]
    steps, seconds, status, loop = 0, 0.0, [OK] * count, None
    levels = list[Tensor]()  # the score of each unit in every step
    total = sum(stage.steps for stage in stages)
    for stage in stages:
        report = partial(watchers.report, steps, stage.steps, total)
        result = optimize_in_halves(network, work.objective, work.prior, stage, transforms, report, context.graphs)
        steps, seconds = steps + stage.steps, seconds + result.seconds
        status = [old if old != OK else new for old, new in zip(status, result.status, strict=True)]
        levels.append(result.history)
        loop = result.loop if network.device.type == "cuda" else None
    images = result.images
    scores = result.scores
    if work.measure is not work.objective:
        scores = evaluate(network, work.measure, uncropped(network, work.prior, images))
    if work.activation:
        flat = (images.flatten(1).amax(1) - images.flatten(1).amin(1)) < GREY
        history = torch.cat([*levels, scores.to(levels[0])[None]])
        constant = torch.isclose(history, history[:1]).all(0)  # the finished picture too: the first steps may see none
        for place, score in enumerate(scores.tolist()):
            if status[place] == OK and (score == 0 or constant[place] or flat[place]):
                status[place] = SILENT
    outcomes = [
        _Outcome(score, steps, seconds, end, settings.seed, loop=loop)
        for score, end in zip(scores.tolist(), status, strict=True)
    ]
    return images, work.finish(images) if work.finish else images, outcomes


def _silent(units: Sequence[Unit], outcomes: Sequence[_Outcome]) -> list[int]:
    """Places of the silent units, whose group is silent too: pictures that repel each other are made together."""
    active = {unit.group for unit, outcome in zip(units, outcomes, strict=True) if outcome.status != SILENT} - {""}
    return [
        place
        for place, (unit, outcome) in enumerate(zip(units, outcomes, strict=True))
        if outcome.status == SILENT and unit.group not in active
    ]


def _poor(work: Problem, units: Sequence[Unit], images: Tensor, outcomes: Sequence[_Outcome]) -> list[int]:
    """Places of the pictures that are tried once more."""
    if work.faithful is None:
        return _silent(units, outcomes)
    return torch.nonzero(work.faithful(images) < work.least).flatten().tolist()


def _better(
    again: Problem, first: Tensor, images: Tensor, _finished: Tensor, outcomes: Sequence[_Outcome]
) -> list[bool]:
    """Which pictures of a second try are kept in place of the first."""
    if again.faithful is None:
        return [outcome.status != SILENT for outcome in outcomes]
    return (again.faithful(images) > again.faithful(first)).tolist()


@dataclass(frozen=True)
class _Watchers:
    """Those who follow a batch step by step.

    Attributes:
        on_progress: as in `make`.
        shown: to whom the pictures are shown.
        film: of the last stage, if there is one.
    """

    on_progress: Callable[[float], None]
    shown: _Shown | None = None
    film: Film | None = None

    def report(self, before: int, steps: int, total: int, at: Progress) -> None:
        """Reports a step of one of several stages as a step of all of them.

        Args:
            before: steps of the stages before.
            steps: of the stage.
            total: steps of all stages.
            at: where the stage is. Its batch is the run's, or with little memory a part of it.
        """
        together = at.units if at.done == 0 else at.units - at.done  # the engine's batch is the run's, or the last part
        share = (at.done + together * at.step / at.steps) / at.units
        self.on_progress((before + steps * share) / total)
        if self.film is not None:
            self.film(at)
        if self.shown is not None:
            self.shown.report(before * at.tries + at.step, total * at.tries, at)


@dataclass(eq=False)
class _Shown:
    """The pictures of a batch while they are made, also where memory does not suffice for all of them at once.

    Attributes:
        on_images: as in `make`.
        count: pictures in the batch.
        latest: the pictures as they were last read.
    """

    on_images: ImagesCallback
    count: int
    latest: Tensor | None = None

    def report(self, step: int, steps: int, at: Progress) -> None:
        self.on_images(step, steps, partial(self._read, at))

    def _read(self, at: Progress) -> Tensor:
        part = at.images
        if len(part) < self.count:
            if self.latest is None:
                self.latest = part.new_full((self.count, *part.shape[1:]), 0.5)
            self.latest[at.done : at.done + len(part)] = part
            part = self.latest.clone()
        return part


@dataclass(frozen=True)
class _Outcome:
    """What an optimisation made of one unit; as it stands, of a picture that needed none."""

    score: float | None = None
    steps: int = 0
    seconds: float = 0.0
    status: str = OK
    seed: int | None = None  # where it is not the run's
    tries: int = 1
    loop: str | None = None


def _record(unit: Unit, outcome: _Outcome, metrics: Mapping[str, Any], seed: int) -> Record:
    score = outcome.score
    return Record(
        layer=unit.layer,
        channel=unit.channel,
        objective=unit.objective,
        attempt=unit.attempt,
        seed=seed if outcome.seed is None else outcome.seed,
        file=unit.file,
        score=score if score is not None and math.isfinite(score) else None,  # JSON knows no NaN
        steps=outcome.steps,
        seconds=outcome.seconds,
        status=outcome.status,
        direction=unit.direction,
        name=unit.name,
        image=unit.image,
        prior=unit.prior,
        made_from=unit.made_from,
        loop=outcome.loop,
        metrics=dict(metrics) | ({"tries": outcome.tries} if outcome.tries > 1 else {}),
        extra_files=dict(unit.extra_files),
    )
