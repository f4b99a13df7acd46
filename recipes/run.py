"""The spine of every recipe: skip what is finished, optimise the rest in batches, write each as it comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from inverter import Settings, Tick, evaluate, optimize
from inverter.augment import as_augment
from inverter.engine import default_batch
from inverter.scoring import whole
from recipes.outputs.manifest import Manifest, Record, describe
from recipes.outputs.store import Store
from recipes.recipe import AnyRecipe, Given, Problem, Unit

PAGE_EVERY = 10.0
"""Seconds between two versions of the page while a run goes on."""


@dataclass(frozen=True)
class Update:
    """How far a run is: units finished (with the fraction of those under way), of all that it has to do.

    A run may have several parts, one after the other; `noun` says what is counted where that is no unit.
    """

    done: float
    units: int
    finished: int
    noun: str | None = None


RunProgress = Callable[[Update], None]


@dataclass(frozen=True)
class Report:
    """What a run left behind."""

    out: Path
    page: Path
    manifest: Manifest
    made: int
    seconds: float

    @property
    def failed(self) -> list[Record]:
        """Units whose optimisation stopped early."""
        return [unit for unit in self.manifest.units.values() if unit.status != "ok"]


def batches(units: Sequence[Unit], size: int) -> Iterator[list[Unit]]:
    """Units in batches of about `size` that share a `batch` value; a group is never split, so it may exceed `size`."""
    for _, alike in groupby(units, key=lambda unit: unit.batch):
        batch: list[Unit] = []
        for _, group in groupby(alike, key=lambda unit: (unit.group, unit.file if not unit.group else "")):
            members = list(group)
            if batch and len(batch) + len(members) > size:
                yield batch
                batch = []
            batch += members
        yield batch


def run(recipe: AnyRecipe, progress: RunProgress | None = None) -> Report:
    """Runs a recipe in its output folder (see `Recipe.run`)."""
    started = time.perf_counter()
    settings = Settings(
        steps=Settings.steps if recipe.steps is None else recipe.steps,
        learning_rate=recipe.learning_rate,
        precision=recipe.precision,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
    )
    augment = as_augment(recipe.transforms)
    model = recipe.load()
    units = recipe.units(model)
    manifest = Manifest(recipe.name, recipe.settings(), dict(describe(model)), planned=len(units))
    files = [unit.file for unit in units]
    store = Store.open(Path(recipe.out), manifest, recipe.page, files, recipe.fresh, recipe.table)
    unfinished = {unit.group or unit.file for unit in units if not store.has(unit.file)}
    todo = [unit for unit in units if (unit.group or unit.file) in unfinished]
    done, shown = 0, time.perf_counter()

    def update(fraction: float = 0.0) -> None:
        if progress is not None:
            progress(Update(done + fraction, len(todo), len(units) - len(todo)))

    def tick(size: int, before: int, stage: int, total: int, at: Tick) -> None:
        together = at.units if at.done == 0 else at.units - at.done  # the engine's batch is the run's, or the last part
        share = (at.done + together * at.step / at.steps) / at.units
        update(size * (before + share * stage) / total)

    try:
        if todo:
            recipe.prepare(model, units, progress)
        update()
        for batch in batches(todo, settings.batch_size or default_batch(model.device)):
            size = len(batch)
            work = recipe.problem(model, batch)
            if isinstance(work, Given):
                images, outcomes = work.images, [_Outcome()] * size
            else:
                looking = work.model or model
                stages = [replace(settings, **stage) for stage in work.stages]
                steps, seconds, status = 0, 0.0, ["ok"] * size
                total = sum(stage.steps for stage in stages)
                for stage in stages:
                    told = partial(tick, size, steps, stage.steps, total)
                    result = optimize(looking, work.objective, work.prior, stage, augment, told)
                    steps, seconds = steps + stage.steps, seconds + result.seconds
                    status = [old if old != "ok" else new for old, new in zip(status, result.status, strict=True)]
                images = result.images
                scores = evaluate(looking, work.measure, whole(looking, work.prior, images)).tolist()
                outcomes = [_Outcome(score, steps, seconds, end) for score, end in zip(scores, status, strict=True)]
            figures = recipe.figures(model, batch, images)
            if isinstance(work, Problem) and work.finish:
                images = work.finish(images)
            records = map(partial(_record, seed=recipe.seed), batch, outcomes, figures)
            store.add(zip(records, images, strict=True))
            done += size
            update()
            if time.perf_counter() - shown > PAGE_EVERY:
                store.write_page()
                shown = time.perf_counter()
    finally:
        page = store.write_page()
    return Report(Path(recipe.out), page, store.manifest, done, time.perf_counter() - started)


@dataclass(frozen=True)
class _Outcome:
    """What an optimisation made of one unit; as it stands, of a picture that needed none."""

    score: float | None = None
    steps: int = 0
    seconds: float = 0.0
    status: str = "ok"


def _record(unit: Unit, outcome: _Outcome, figures: Mapping[str, Any], seed: int) -> Record:
    score = outcome.score
    return Record(
        layer=unit.layer,
        channel=unit.channel,
        objective=unit.objective,
        attempt=unit.attempt,
        seed=seed,
        file=unit.file,
        score=score if score is not None and math.isfinite(score) else None,  # JSON knows no NaN
        steps=outcome.steps,
        seconds=outcome.seconds,
        status=outcome.status,
        direction=unit.direction,
        name=unit.name,
        image=unit.image,
        prior=unit.prior,
        figures=dict(figures),
    )
