"""The spine of every recipe: skip what is finished, optimise the rest in batches, write each as it comes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor

from inverter import Model, Settings
from inverter.augment import as_augment
from recipes.executors.in_process import InProcess
from recipes.executors.progress import RunProgress, RunProgressCallback
from recipes.outputs.earlier_run import same_run
from recipes.outputs.manifest import Manifest, Record, describe
from recipes.outputs.rendering.showing import Showing
from recipes.outputs.store import Store
from recipes.runner.base import UnitPlan
from recipes.runner.batch import Finished, make
from recipes.runner.context import RunContext
from recipes.runner.report import Report
from recipes.runner.units import Places, Unit, batches, places

UnitsCallback = Callable[[Sequence[Unit], int, int, Callable[[], Tensor]], None]
"""Called after every step of a batch with its units, and then as `recipes.runner.batch.ImagesCallback`."""


def run(
    recipe: UnitPlan,
    progress: RunProgressCallback | None = None,
    *,
    model: Model | None = None,
    only: Collection[str] | None = None,
    made: Places | None = None,
    on_images: UnitsCallback | None = None,
) -> Report:
    """Runs a recipe in its output folder.

    Args:
        recipe: what to run; `Recipe.run` locks its folder first.
        progress: called with a `RunProgress` as the work goes on. An exception in it, or in `on_images`, ends the run;
            what is finished is kept.
        model: the network under inspection, where it is loaded already.
        only: files of units. Their batches alone are made, exactly as in a run of all units, and the pictures are
            neither measured nor summed up. By default all units.
        made: batches in which units were made before; by default those of the output folder.
        on_images: called after every step with the units of the batch and their pictures as they are, where the work is
            done in this process (neither `workers` nor `ray`); the pictures that are written are the same.

    Returns:
        What the run left behind.

    Raises:
        InverterError: as `Recipe.run`.
        OSError: as `Recipe.run`.
    """
    opened = OpenRun(recipe, progress, model=model, only=only, made=made, on_images=on_images)
    try:
        opened.make()
        opened.conclude()
    finally:
        opened.close()
    return opened.report()


class OpenRun:
    """A run whose output folder is open: its batches are made in any order, and each is written as it comes.

    `make`, `conclude` and `close` in this order are `run`. A batch is the same whenever it is made.

    Args:
        recipe: as in `run`.
        progress: as in `run`.
        model: as in `run`.
        only: as in `run`.
        made: as in `run`.
        on_images: as in `run`.

    Attributes:
        units: all of the run, in the order of the manifest.
        parts: batches that had unfinished units when the run was opened.
        store: the output folder.

    Raises:
        InverterError: as `Recipe.run`.
        OSError: as `Recipe.run`.
    """

    def __init__(
        self,
        recipe: UnitPlan,
        progress: RunProgressCallback | None = None,
        *,
        model: Model | None = None,
        only: Collection[str] | None = None,
        made: Places | None = None,
        on_images: UnitsCallback | None = None,
    ) -> None:
        self._started = time.perf_counter()
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
        if not recipe.fresh:  # refused now: to find units, a recipe may write what does not belong to an earlier run
            earlier = same_run(out, Manifest(recipe.name, recorded, network, 0, growing=recipe.growing))
            if earlier is not None:
                made = places(earlier.units.values())
                context.recipe = recipe = _as_begun(recipe, earlier.settings.get("threads"))
        self._executor = context.executor
        units = recipe.units(context)
        settings = replace(settings, batch_size=settings.batch_size or recipe.together(context, units))
        grouped = list(batches(units, settings.batch_size or 1, made))
        if only is not None:
            grouped = [(number, batch) for number, batch in grouped if any(unit.file in only for unit in batch)]
            units = [unit for _, batch in grouped for unit in batch]
        recorded |= {"threads": self._executor.threads}
        manifest = Manifest(recipe.name, recorded, network, planned=len(units), growing=recipe.growing)
        complete = only is None
        self.store = Store.open(
            out,
            manifest,
            recipe.page if complete else _no_page,
            {unit.file: unit.made_from for unit in units},
            recipe.fresh,
            recipe.table if complete else _no_table,
        )
        self._recipe, self._context, self._complete, self._progress = recipe, context, complete, progress
        self.units, self._showing = units, Showing.of(model, recipe.merged)
        self._work: Callable[..., Finished] = partial(make, context, settings, complete)
        if on_images is not None and isinstance(self._executor, InProcess):
            self._work = partial(_make_shown, self._work, on_images)
        missing = {unit.group or unit.file for unit in units if not self.store.has(unit.file, unit.extra_files)}
        # Of all units, not of the unfinished: a batch that was stopped is made again as it was, bit for bit.
        parts = [part for part in (Part(number, batch, missing) for number, batch in grouped) if part.places]
        for part in parts:
            part.cost = sum(recipe.cost(context, unit) for unit in part.batch)
        self.parts, self._total = parts, sum(part.cost for part in parts) or 1.0
        self._todo, self._shares = sum(part.requested for part in parts), dict[Part, float]()
        self._finished_before = sum(unit.requested for unit in units) - self._todo
        self._made, self._prepared = 0, False
        self._page: Path | None = None
        self._assembled = dict[str, Path]()

    def make(self, parts: Sequence[Part] | None = None) -> None:
        """Makes batches, and has them written.

        Args:
            parts: some of `parts`; by default all.

        Raises:
            InverterError: as `Recipe.run`.
            OSError: as `Recipe.run`.
        """
        parts = self.parts if parts is None else parts
        if parts and self._complete and not self._prepared:
            self._recipe.prepare(self._context, self.units)
            self._prepared = True
        self._update()
        jobs = [part.batch for part in parts]

        def on_progress(index: int, share: float) -> None:
            self.store.check()  # a disk that fails ends the run now, not with the batch
            self._shares[parts[index]] = share
            self._update()

        with closing(self._executor.map(self._work, jobs, on_progress)) as results:
            for index, finished in results:
                showing = Showing() if finished.drawn else self._showing
                self.store.add(parts[index].pick(finished), finished.alpha, showing)
                self._made += parts[index].requested
                on_progress(index, 1.0)
                self.store.refresh()

    def conclude(self) -> None:
        """Adds what is measured of all pictures together, once all of them are made."""
        self.store.settle()
        if self._complete:
            records = list(self.store.manifest.units.values())
            self.store.amend(self._recipe.evidence(self._context, records, self.store.folder))

    def close(self) -> None:
        """Writes the manifest, the page and what sums up the pictures so far, however the run ended."""
        self._page = self.store.finish() if self._complete else self.store.write_page()
        if self._complete:
            self._assembled |= self._recipe.assemble(self.store.folder, self.store.manifest.units.values())

    def report(self) -> Report:
        """What the run left behind, once it is closed."""
        recipe, records = self._recipe, list(self.store.manifest.units.values())
        return Report(
            self.store.folder,
            self.store.manifest,
            made=self._made,
            seconds=time.perf_counter() - self._started,
            page=self._page,
            files=self._assembled,
            skipped=recipe.skipped(self._context) if self._complete else {},
            closing=recipe.closing(records) if self._complete else None,
        )

    def _update(self) -> None:
        if self._progress is not None:
            done = sum(part.requested * share for part, share in self._shares.items())
            share = sum(part.cost * share for part, share in self._shares.items()) / self._total
            self._progress(RunProgress(done, self._todo, self._finished_before, share=min(share, 1.0)))


def _make_shown(
    work: Callable[..., Finished],
    on_images: UnitsCallback,
    model: Model,
    units: Sequence[Unit],
    on_progress: Callable[[float], None],
) -> Finished:
    return work(model, units, on_progress, partial(on_images, units))


def _as_begun(recipe: UnitPlan, threads: object) -> UnitPlan:
    """The recipe with the threads of the run's earlier part, on which last bits depend, if this machine has as many."""
    if not isinstance(threads, int) or recipe.threads is not None or recipe.ray is not None:
        return recipe
    fits = threads * (recipe.workers or 1) <= (os.cpu_count() or 1)
    return replace(recipe, threads=threads) if fits else recipe


class Part:
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
