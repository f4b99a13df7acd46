"""The spine of every recipe: skip what is finished, optimise the rest in batches, write each as it comes."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import count, groupby
from pathlib import Path

from torch import Tensor

from inverter import Model, Settings
from inverter.augment import as_augment
from recipes.executors.progress import RunProgress, RunProgressCallback
from recipes.outputs.earlier_run import same_run
from recipes.outputs.manifest import Manifest, Record, describe
from recipes.outputs.rendering.showing import Showing
from recipes.outputs.store import Store
from recipes.runner.base import UnitPlan
from recipes.runner.batch import Finished, make
from recipes.runner.context import RunContext
from recipes.runner.report import Report
from recipes.runner.units import Unit

Places = Mapping[str, tuple[int, int]]
"""File of a unit -> the number of the batch that it was made in, and its place there."""


def batches(units: Sequence[Unit], size: int, made: Places | None = None) -> Iterator[tuple[int, list[Unit]]]:
    """Units in numbered batches of about `size` that share a `batch` value.

    A batch that was made stays as it was, bit for bit, whatever units have been added since. The other units form new
    ones. A group is never split, so a batch may exceed `size`.

    Args:
        units: all of the run.
        size: of a batch.
        made: the batches of an earlier part of the run.

    Yields:
        The number of each batch, and its units.
    """
    made = made or {}
    old: dict[int, list[Unit]] = {}
    for unit in units:
        if unit.file in made:
            old.setdefault(made[unit.file][0], []).append(unit)
    for number, members in sorted(old.items()):
        yield number, sorted(members, key=lambda unit: made[unit.file][1])
    numbers = (number for number in count() if number not in old)
    for _, alike in groupby((unit for unit in units if unit.file not in made), key=lambda unit: unit.batch):
        batch: list[Unit] = []
        for _, group in groupby(alike, key=lambda unit: (unit.group, unit.file if not unit.group else "")):
            members = list(group)
            if batch and len(batch) + len(members) > size:
                yield next(numbers), batch
                batch = []
            batch += members
        yield next(numbers), batch


def places(records: Iterable[Record]) -> Places:
    """The batches that a manifest records; units of an earlier release have none."""
    return {
        record.file: (record.batch, record.place)
        for record in records
        if record.batch is not None and record.place is not None
    }


def run(
    recipe: UnitPlan,
    progress: RunProgressCallback | None = None,
    *,
    model: Model | None = None,
    only: Collection[str] | None = None,
    made: Places | None = None,
) -> Report:
    """Runs a recipe in its output folder.

    Args:
        recipe: what to run; `Recipe.run` locks its folder first.
        progress: called with a `RunProgress` as the work goes on.
        model: the network under inspection, where it is loaded already.
        only: files of units. Their batches alone are made, exactly as in a run of all units, and the pictures are
            neither measured nor summed up. By default all units.
        made: batches in which units were made before; by default those of the output folder.

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
    model = recipe.load() if model is None else model
    context, out = RunContext(recipe, model, progress), Path(recipe.out)
    as_augment(recipe.transforms(context))  # an unknown name is refused before the work
    recorded, network = recipe.recorded_settings(context), dict(describe(model))
    if not recipe.fresh:  # refused now: to find its units, a recipe may write what does not belong to an earlier run
        earlier = same_run(out, Manifest(recipe.name, recorded, network, 0, growing=recipe.growing))
        if earlier is not None:
            made = places(earlier.units.values())
            context.recipe = recipe = _as_begun(recipe, earlier.settings.get("threads"))
    executor = context.executor
    units = recipe.units(context)
    settings = replace(settings, batch_size=settings.batch_size or recipe.together(context, units))
    grouped = list(batches(units, settings.batch_size or 1, made))
    if only is not None:
        grouped = [(number, batch) for number, batch in grouped if any(unit.file in only for unit in batch)]
        units = [unit for _, batch in grouped for unit in batch]
    recorded |= {"threads": executor.threads}
    manifest = Manifest(recipe.name, recorded, network, planned=len(units), growing=recipe.growing)
    complete = only is None
    store = Store.open(
        out,
        manifest,
        recipe.page if complete else _no_page,
        {unit.file: unit.made_from for unit in units},
        recipe.fresh,
        recipe.table if complete else _no_table,
    )
    missing = {unit.group or unit.file for unit in units if not store.has(unit.file, unit.extra_files)}
    # Of all units, not of the unfinished: a batch that was stopped is made again as it was, bit for bit.
    parts = [part for part in (_Part(number, batch, missing) for number, batch in grouped) if part.places]
    for part in parts:
        part.cost = sum(recipe.cost(context, unit) for unit in part.batch)
    work, todo = sum(part.cost for part in parts) or 1.0, sum(part.requested for part in parts)
    finished_before = sum(unit.requested for unit in units) - todo
    shares = dict[int, float]()  # of each part

    def update() -> None:
        if progress is not None:
            done = sum(parts[index].requested * share for index, share in shares.items())
            share = sum(parts[index].cost * share for index, share in shares.items()) / work
            progress(RunProgress(done, todo, finished_before, share=min(share, 1.0)))

    def on_progress(index: int, share: float) -> None:
        store.check()  # a disk that fails ends the run now, not with the batch
        shares[index] = share
        update()

    made_now, showing, assembled = 0, Showing.of(model, recipe.merged), dict[str, Path]()
    try:
        if parts and complete:
            recipe.prepare(context, units)
        update()
        jobs = [part.batch for part in parts]
        with closing(executor.map(partial(make, context, settings, complete), jobs, on_progress)) as results:
            for index, finished in results:
                store.add(parts[index].pick(finished), finished.alpha, Showing() if finished.drawn else showing)
                made_now += parts[index].requested
                on_progress(index, 1.0)
                store.refresh()
        store.settle()
        if complete:
            store.amend(recipe.evidence(context, list(store.manifest.units.values()), out))
    finally:
        page = store.finish() if complete else store.write_page()
        if complete:
            assembled |= recipe.assemble(out, store.manifest.units.values())
    records = list(store.manifest.units.values())
    return Report(
        out,
        store.manifest,
        made=made_now,
        seconds=time.perf_counter() - started,
        page=page,
        files=assembled,
        skipped=recipe.skipped(context) if complete else {},
        closing=recipe.closing(records) if complete else None,
    )


def _as_begun(recipe: UnitPlan, threads: object) -> UnitPlan:
    """The recipe with the threads of the run's earlier part, on which last bits depend, if this machine has as many."""
    if not isinstance(threads, int) or recipe.threads is not None or recipe.ray is not None:
        return recipe
    fits = threads * (recipe.workers or 1) <= (os.cpu_count() or 1)
    return replace(recipe, threads=threads) if fits else recipe


class _Part:
    """A batch of a run, some of whose units may be finished already.

    Attributes:
        number: of the batch.
        batch: its units.
        places: in it, of those to be written; of a group, all if one is missing.
        requested: number of these that are no input images.
        cost: how long it takes in proportion to the others.
    """

    def __init__(self, number: int, batch: Sequence[Unit], missing: Set[str]) -> None:
        self.number, self.batch = number, batch
        self.places = [place for place, unit in enumerate(batch) if (unit.group or unit.file) in missing]
        self.requested = sum(batch[place].requested for place in self.places)
        self.cost = 0.0

    def pick(self, finished: Finished) -> Iterator[tuple[Record, Tensor]]:
        """What is to be written of the batch that was made."""
        for place in self.places:
            yield replace(finished.records[place], batch=self.number, place=place), finished.images[place]


def _no_page(_manifest: object) -> str:
    return ""


def _no_table(_records: object) -> list[dict[str, object]]:
    return []
