"""The spine of every recipe: skip what is finished, optimise the rest in batches, write each as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from torch import Tensor

from inverter import Settings
from inverter.augment import as_augment
from inverter.engine import default_batch
from recipes.executors.progress import RunProgress, RunProgressCallback
from recipes.outputs.manifest import Manifest, Record, describe
from recipes.outputs.store import Store
from recipes.runner.base import Plan
from recipes.runner.batch import Finished, make
from recipes.runner.units import Unit

PAGE_EVERY = 10.0
"""Seconds between two versions of the manifest and the page while a run goes on, at least."""
SHARE = 0.02
"""Of the run's time may go into writing them, at most: of a run of many units each takes seconds."""


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


def run(recipe: Plan, progress: RunProgressCallback | None = None) -> Report:
    """Runs a recipe in its output folder (see `AnyRecipe.run`)."""
    started = time.perf_counter()
    settings = Settings(
        steps=Settings.steps if recipe.steps is None else recipe.steps,
        learning_rate=recipe.learning_rate,
        precision=recipe.precision,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
    )
    as_augment(recipe.transforms)  # a name that is unknown is told before the work
    model = recipe.load()
    executor = recipe.executor(model)
    settings = replace(settings, batch_size=settings.batch_size or default_batch(executor.device))
    units = recipe.units(model)
    asked = recipe.settings() | {"threads": executor.threads}
    manifest = Manifest(recipe.name, asked, dict(describe(model)), planned=len(units))
    files = [unit.file for unit in units]
    store = Store.open(Path(recipe.out), manifest, recipe.page, files, recipe.fresh, recipe.table)
    lacking = {unit.group or unit.file for unit in units if not store.has(unit.file)}
    # Of all units, not of the unfinished: a batch that was stopped is made again in the same company, to the same bits.
    parts = [_Part(batch, lacking) for batch in batches(units, settings.batch_size or 1)]
    parts = [part for part in parts if part.wanted]
    todo, done, under_way = sum(len(part.wanted) for part in parts), 0, dict[int, float]()
    due = time.perf_counter() + PAGE_EVERY

    def update() -> None:
        if progress is not None:
            progress(RunProgress(done + sum(under_way.values()), todo, len(units) - todo))

    def on_progress(index: int, share: float) -> None:
        under_way[index] = len(parts[index].wanted) * share
        update()

    try:
        if parts:
            recipe.prepare(model, units, progress)
        update()
        jobs = [part.batch for part in parts]
        with closing(executor.map(partial(make, recipe, settings), jobs, on_progress)) as results:
            for index, finished in results:
                store.add(parts[index].pick(finished))
                done += len(parts[index].wanted)
                under_way.pop(index, None)
                update()
                if (now := time.perf_counter()) > due:
                    store.write_page()
                    written = time.perf_counter()
                    due = written + max(PAGE_EVERY, (written - now) / SHARE)
    finally:
        page = store.write_page()
    return Report(Path(recipe.out), page, store.manifest, done, time.perf_counter() - started)


class _Part:
    """A batch of a run, some of whose units may be finished already.

    Attributes:
        batch: its units. wanted: places in it of those to be written; of a group, all if one is lacking.
    """

    def __init__(self, batch: Sequence[Unit], lacking: Set[str]) -> None:
        self.batch = batch
        self.wanted = [place for place, unit in enumerate(batch) if (unit.group or unit.file) in lacking]

    def pick(self, finished: Finished) -> Iterator[tuple[Record, Tensor]]:
        """What is to be written of the batch that was made."""
        return ((finished.records[place], finished.images[place]) for place in self.wanted)
