"""What the command line shows while a recipe runs: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recipes.run import RunProgress, Update

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
    """Seconds a unit and seconds left, from what this run has done itself."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.started = time.monotonic()

    def text(self, update: Update) -> str:
        count = f"{update.finished + int(update.done)}/{update.units + update.finished} {self.noun}s"
        if update.done >= update.units:
            return f"{count}, all finished"
        if not update.done:
            return f"{count}, starting"
        each = (time.monotonic() - self.started) / update.done
        return f"{count}, {each:.2g} s a {self.noun}, {clock(each * (update.units - update.done))} left"


@contextmanager
def shown(what: str, noun: str = "unit") -> Iterator[RunProgress]:
    """A callback that shows progress on standard error while the context lasts."""
    rate = _Rate(noun)
    with _bar(what, rate) if sys.stderr.isatty() else _lines(what, rate) as callback:
        yield callback


@contextmanager
def _bar(what: str, rate: _Rate) -> Iterator[RunProgress]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=5) as progress:
        task = progress.add_task(escape(what), total=1, figures="")

        def callback(update: Update) -> None:
            total = update.units + update.finished
            completed = update.finished + update.done
            progress.update(task, total=max(total, 1), completed=completed, figures=rate.text(update))

        yield callback


@contextmanager
def _lines(what: str, rate: _Rate) -> Iterator[RunProgress]:
    last, over = 0.0, False

    def callback(update: Update) -> None:
        nonlocal last, over
        finished = update.done >= update.units
        if over or (not finished and time.monotonic() - last < LINE_EVERY):
            return
        over = finished
        last = time.monotonic()
        print(f"{what}: {rate.text(update)}", file=sys.stderr, flush=True)

    yield callback
