"""What the command line shows while a recipe runs: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgress, RunProgressCallback

LINE_EVERY = 10.0
"""Seconds between two plain lines."""


def clock(seconds: float) -> str:
    """Seconds as people say them: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class _Rate:
    """Seconds a unit and seconds left, from what this run has done itself; it is told of every update."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.started = time.monotonic()

    def text(self, update: RunProgress) -> str:
        noun = update.noun or self.noun
        count = f"{update.finished + int(update.done)}/{update.units + update.finished} {noun}s"
        if update.done >= update.units:
            return f"{count}, all finished"
        if not update.done:
            self.started = time.monotonic()  # what came before (loading the network) is not a unit's time
            return f"{count}, starting"
        each = (time.monotonic() - self.started) / update.done
        return f"{count}, {each:.2g} s a {noun}, {clock(each * (update.units - update.done))} left"


@contextmanager
def shown(what: str, noun: str = "unit") -> Iterator[RunProgressCallback]:
    """A callback that shows progress on standard error while the context lasts."""
    rate = _Rate(noun)
    with _bar(what, rate) if sys.stderr.isatty() else _lines(what, rate) as callback:
        yield callback


@contextmanager
def _bar(what: str, rate: _Rate) -> Iterator[RunProgressCallback]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[metrics]}"))
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=5) as progress:
        task = progress.add_task(escape(what), total=1, metrics="")

        def callback(update: RunProgress) -> None:
            total = update.units + update.finished
            completed = update.finished + update.done
            progress.update(task, total=max(total, 1), completed=completed, metrics=rate.text(update))

        yield callback


@contextmanager
def _lines(what: str, rate: _Rate) -> Iterator[RunProgressCallback]:
    last, over = 0.0, False

    def callback(update: RunProgress) -> None:
        nonlocal last, over
        finished, text = update.done >= update.units, rate.text(update)
        said, over = over, finished  # a run of several parts begins anew after each of them
        if (finished and said) or (not finished and time.monotonic() - last < LINE_EVERY):
            return
        last = time.monotonic()
        print(f"{what}: {text}", file=sys.stderr, flush=True)

    yield callback


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of one form on standard output, under the names of their values; nothing where there are none."""
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, pad_edge=False)
    for name in names:
        numbers = all(isinstance(row.get(name, 0), int | float) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in names))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"
    return "" if value is None else str(value)
