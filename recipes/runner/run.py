"""The spine of every recipe: skip what is finished, optimise the rest in batches, write each as it comes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path

from torch import Tensor

from inverter import Model, Settings
from inverter.augment import as_augment
from inverter.engine import default_batch
from recipes.executors.progress import RunProgress, RunProgressCallback
from recipes.outputs.manifest import Manifest, Record, describe
from recipes.outputs.store import Store, same_run
from recipes.runner.base import UnitPlan
from recipes.runner.batch import Finished, make
from recipes.runner.context import RunContext
from recipes.runner.report import Report
from recipes.runner.units import Unit

PAGE_EVERY = 10.0
"""Seconds between two versions of the manifest and the page while a run goes on, at least."""
SHARE = 0.02
"""Of the run's time may go into writing them, at most: of a run of many units each takes seconds."""


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


def run(
    recipe: UnitPlan,
    progress: RunProgressCallback | None = None,
    *,
    model: Model | None = None,
    only: Collection[str] | None = None,
) -> Report:
    """Runs a recipe in its output folder.

    Args:
        recipe: what to run; `Recipe.run` locks its folder first.
        progress: called with a `RunProgress` as the work goes on.
        model: the network under inspection, where it is loaded already.
        only: files of units. Their batches alone are made, exactly as in a run of all units, and the pictures are
            neither measured nor summed up. By default all units.

    Returns:
        What the run left behind.

    Raises:
        InverterError: as `Recipe.run`.
        OSError: as `Recipe.run`.
    """
    started = time.perf_counter()
    settings = Settings(
        steps=Settings.steps if recipe.steps is None else recipe.steps,
        learning_rate=recipe.learning_rate,
        precision=recipe.precision,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
    )
    as_augment(recipe.transforms)  # an unknown name is refused before the work
    model = recipe.load() if model is None else model
    context, out = RunContext(recipe, model, progress), Path(recipe.out)
    recorded, network = recipe.recorded_settings(context), dict(describe(model))
    if not recipe.fresh:  # refused now: to find its units, a recipe may write what does not belong to an earlier run
        same_run(out, Manifest(recipe.name, recorded, network, planned=0))
    executor = context.executor
    settings = replace(settings, batch_size=settings.batch_size or default_batch(executor.device))
    units = recipe.units(context)
    grouped = list(batches(units, settings.batch_size or 1))
    if only is not None:
        grouped = [batch for batch in grouped if any(unit.file in only for unit in batch)]
        units = [unit for batch in grouped for unit in batch]
    recorded |= {"threads": executor.threads}
    manifest = Manifest(recipe.name, recorded, network, planned=len(units))
    complete = only is None
    store = Store.open(
        out,
        manifest,
        recipe.page if complete else _no_page,
        [unit.file for unit in units],
        recipe.fresh,
        recipe.table if complete else _no_table,
    )
    missing = {unit.group or unit.file for unit in units if not store.has(unit.file)}
    # Of all units, not of the unfinished: a batch that was stopped is made again as it was, bit for bit.
    parts = [part for part in (_Part(batch, missing) for batch in grouped) if part.places]
    todo, done, under_way = sum(len(part.places) for part in parts), 0, dict[int, float]()
    due = time.perf_counter() + PAGE_EVERY

    def update() -> None:
        if progress is not None:
            progress(RunProgress(done + sum(under_way.values()), todo, len(units) - todo))

    def on_progress(index: int, share: float) -> None:
        under_way[index] = len(parts[index].places) * share
        update()

    try:
        if parts and complete:
            recipe.prepare(context, units)
        update()
        jobs = [part.batch for part in parts]
        with closing(executor.map(partial(make, context, settings, complete), jobs, on_progress)) as results:
            for index, finished in results:
                store.add(parts[index].pick(finished), finished.alpha)
                done += len(parts[index].places)
                under_way.pop(index, None)
                update()
                if (now := time.perf_counter()) > due:
                    store.write_page()
                    written = time.perf_counter()
                    due = written + max(PAGE_EVERY, (written - now) / SHARE)
    finally:
        page = store.finish() if complete else store.write_page()
        if complete:
            recipe.assemble(out, store.manifest.units.values())
    records = list(store.manifest.units.values())
    return Report(
        out,
        store.manifest,
        made=done,
        seconds=time.perf_counter() - started,
        page=page,
        skipped=recipe.skipped(context) if complete else {},
        closing=recipe.closing(records) if complete else None,
    )


class _Part:
    """A batch of a run, some of whose units may be finished already.

    Attributes:
        batch: its units.
        places: in it, of those to be written; of a group, all if one is missing.
    """

    def __init__(self, batch: Sequence[Unit], missing: Set[str]) -> None:
        self.batch = batch
        self.places = [place for place, unit in enumerate(batch) if (unit.group or unit.file) in missing]

    def pick(self, finished: Finished) -> Iterator[tuple[Record, Tensor]]:
        """What is to be written of the batch that was made."""
        return ((finished.records[place], finished.images[place]) for place in self.places)


def _no_page(_manifest: object) -> str:
    return ""


def _no_table(_records: object) -> list[dict[str, object]]:
    return []
