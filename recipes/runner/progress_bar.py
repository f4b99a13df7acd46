"""The progress of a run as people see it: a bar in a terminal or notebook, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from inverter.notebook import Bar, in_notebook
from inverter_errors import plural

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgress, RunProgressCallback

LINE_EVERY = 10.0
"""Seconds between two plain lines."""
RECENT = 20.0
"""Seconds of the past, at least, that the time left is estimated from."""
CALM = 5.0
"""Seconds in which a new estimate of the end replaces most of the old one."""


def clock(seconds: float) -> str:
    """Seconds as people say them: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"


def pace(seconds: float, noun: str) -> str:
    """The time of one unit as people say it: `12 pictures/s`, `5.3 s a picture`, `3 min 05 s a picture`."""
    if seconds < 1:
        rate = 1 / max(seconds, 1e-9)
        return f"{rate:.1f} {noun}s/s" if rate < 10 else f"{rate:.0f} {noun}s/s"
    each = f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"  # a unit, an octave
    return f"{seconds:.1f} s {each}" if seconds < 10 else f"{clock(seconds)} {each}"


class _Rate:
    """The time of a unit and the time left, from what this run has done itself.

    The time left follows from the rate of the last batches, by shares of the work; where a run has parts, from the rate
    of all. The estimate of the end is smoothed.

    Args:
        noun: what is counted, where an update does not say it.
    """

    def __init__(self, noun: str) -> None:
        self.noun, self.part = noun, ""
        self._start()

    def _start(self) -> None:
        self.started = self.counted = time.monotonic()
        self.past = deque([(self.started, 0.0)])  # when, and which share of the work was done
        self.end: float | None = None

    def text(self, update: RunProgress) -> str:
        if update.part is None:
            return self._text(update)
        if update.part != self.part:  # its units are counted anew, and take a time of their own
            self.part, self.counted = update.part, time.monotonic()
        return f"{update.part}: {self._text(update)}"

    def _text(self, update: RunProgress) -> str:
        noun = update.noun or self.noun
        count = f"{update.finished + int(update.done):,}/{plural(update.units + update.finished, noun)}"
        if update.done >= update.units:
            return f"{count}, all finished"
        share = update.done / update.units if update.share is None else update.share
        if share <= 0 or share < self.past[-1][1]:  # what came before (loading the network) is not a unit's time
            self._start()
            return f"{count}, starting"
        now, each = time.monotonic(), ""
        if update.done > 0 and (not self.part or now - self.counted > 0.5):
            each = f", {pace((now - self.counted) / update.done, noun)}"
        if self.past[0][1] == 0:  # the first step takes longer than others: the rate is that of those after it
            self.past = deque([(now, share)])
            return f"{count}{each}"
        return f"{count}{each}, {clock(max(self._left(now, share), 0))} left"

    def _left(self, now: float, share: float) -> float:
        """Seconds until all is done, at the rate of the recent past."""
        last = self.past[-1][0]
        self.past.append((now, share))
        while len(self.past) > 2 and (self.part or self.past[1][0] < min(now - RECENT, (self.started + now) / 2)):
            del self.past[1 if self.part else 0]
        (before, done), rest = self.past[0], 1 - share
        if share <= done:
            return 0.0 if self.end is None else self.end - now
        end = now + (now - before) * rest / (share - done)
        fresh = 1.0 if self.end is None else 1 - math.exp(-(now - last) / CALM)
        self.end = end if self.end is None else self.end + fresh * (end - self.end)
        return self.end - now


@contextmanager
def shown(
    what: str, progress: RunProgressCallback | Literal["auto"] | None = "auto", noun: str = "picture"
) -> Iterator[RunProgressCallback | None]:
    """A context in which the progress of a run is shown on standard error.

    Args:
        what: the name of the run.
        progress: a callback, or None for silence: it is yielded as it is. "auto" makes one that shows the progress.
        noun: what the run counts, in the singular.
    """
    if progress != "auto":
        yield progress
        return
    if sys.stderr is None:  # a process without a terminal, such as a service
        yield None
        return
    rate = _Rate(noun)
    kind = _cell if in_notebook() else _bar if sys.stderr.isatty() else _lines
    with kind(what, rate) as callback:
        yield callback


@contextmanager
def _cell(what: str, rate: _Rate) -> Iterator[RunProgressCallback]:
    bar = Bar()

    def callback(update: RunProgress) -> None:
        total, done = max(update.units + update.finished, 1), update.finished + update.done
        share = done / total if update.share is None or update.done >= update.units else update.share
        bar.show(f"{what}: {rate.text(update)}", share)

    yield callback


@contextmanager
def _bar(what: str, rate: _Rate) -> Iterator[RunProgressCallback]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=5) as progress:
        task = progress.add_task(escape(what), total=1, rate="")

        def callback(update: RunProgress) -> None:
            total = update.units + update.finished
            completed = update.finished + update.done
            progress.update(task, total=max(total, 1), completed=completed, rate=rate.text(update))

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
