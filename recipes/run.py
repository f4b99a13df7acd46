"""The spine of every recipe: skip what is finished, optimise the rest in batches, write each as it comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from inverter import Inversion, Settings, Tick, evaluate, load_model, optimize
from inverter.augment import as_augment
from inverter.engine import default_batch
from recipes.outputs.manifest import Manifest, Record, describe
from recipes.outputs.store import Store
from recipes.recipe import Recipe, Unit

PAGE_EVERY = 10.0
"""Seconds between two versions of the page while a run goes on."""


@dataclass(frozen=True)
class Update:
    """How far a run is: units finished (with the fraction of those under way), of all that it has to do."""

    done: float
    units: int
    finished: int


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


def run(recipe: Recipe, progress: RunProgress | None = None) -> Report:
    """Runs a recipe in its output folder (see `Recipe.run`)."""
    started = time.perf_counter()
    settings = Settings(
        steps=Settings.steps if recipe.steps is None else recipe.steps,
        learning_rate=recipe.learning_rate,
        precision=recipe.precision,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
    )
    augment = as_augment(recipe.augment)
    model = load_model(recipe.model, recipe.weights, recipe.normalize, recipe.device, recipe.size)
    units = recipe.units(model)
    manifest = Manifest(recipe.name, recipe.settings(), dict(describe(model)), planned=len(units))
    store = Store.open(Path(recipe.out), manifest, recipe.page, (unit.file for unit in units), recipe.fresh)
    unfinished = {unit.group or unit.file for unit in units if not store.has(unit.file)}
    todo = [unit for unit in units if (unit.group or unit.file) in unfinished]
    done, shown = 0, time.perf_counter()

    def update(fraction: float = 0.0) -> None:
        if progress is not None:
            progress(Update(done + fraction, len(todo), len(units) - len(todo)))

    update()
    try:
        for batch in batches(todo, settings.batch_size or default_batch(model.device)):
            size = len(batch)
            problem = recipe.problem(model, batch)

            def tick(at: Tick, size: int = size) -> None:
                update((at.done + (size if at.done + size <= at.units else 0) * at.step / at.steps) * size / at.units)

            result = optimize(model, problem.objective, problem.prior, settings, augment, tick)
            scores = evaluate(model, problem.measure, result.images).tolist()
            figures = recipe.figures(model, batch, result.images)
            store.add(zip(_records(batch, result, scores, figures, recipe.seed), result.images, strict=True))
            done += size
            update()
            if time.perf_counter() - shown > PAGE_EVERY:
                store.write_page()
                shown = time.perf_counter()
    finally:
        page = store.write_page()
    return Report(Path(recipe.out), page, store.manifest, done, time.perf_counter() - started)


def _records(
    batch: Sequence[Unit],
    result: Inversion,
    scores: Sequence[float],
    figures: Sequence[Mapping[str, Any]],
    seed: int,
) -> Iterator[Record]:
    for unit, score, status, told in zip(batch, scores, result.status, figures, strict=True):
        yield Record(
            layer=unit.layer,
            channel=unit.channel,
            objective=unit.objective,
            attempt=unit.attempt,
            seed=seed,
            file=unit.file,
            score=score if math.isfinite(score) else None,  # JSON knows no NaN
            steps=result.settings.steps,
            seconds=result.seconds,
            status=status,
            direction=unit.direction,
            name=unit.name,
            image=unit.image,
            figures=dict(told),
        )
