"""The progress of a run as people see it: a bar in a terminal or notebook, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgress, RunProgressCallback

LINE_EVERY = 10.0
"""Seconds between two plain lines."""


def clock(seconds: float) -> str:
    """Seconds as people say them: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"


class _Rate:
    """Seconds a unit and seconds left, from what this run has done itself."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def text(self, update: RunProgress) -> str:
        noun = update.noun or "unit"
        count = f"{update.finished + int(update.done)}/{update.units + update.finished} {noun}s"
        if update.done >= update.units:
            return f"{count}, all finished"
        if not update.done:
            self.started = time.monotonic()  # what came before (loading the network) is not a unit's time
            return f"{count}, starting"
        each = (time.monotonic() - self.started) / update.done
        return f"{count}, {each:.2g} s a {noun}, {clock(each * (update.units - update.done))} left"


@contextmanager
def shown(
    what: str, progress: RunProgressCallback | Literal["auto"] | None = "auto"
) -> Iterator[RunProgressCallback | None]:
    """A context in which the progress of a run is shown on standard error.

    Args:
        what: the name of the run.
        progress: a callback, or None for silence: it is yielded as it is. "auto" makes one that shows the progress.
    """
    if progress != "auto":
        yield progress
        return
    if sys.stderr is None:  # a process without a terminal, such as a service
        yield None
        return
    with _bar(what, _Rate()) if sys.stderr.isatty() or _in_notebook() else _lines(what, _Rate()) as callback:
        yield callback


def _in_notebook() -> bool:
    """True in a notebook that can show `rich`'s bar, which takes ipywidgets."""
    shell = sys.modules.get("IPython")
    if shell is None or type(shell.get_ipython()).__name__ != "ZMQInteractiveShell":
        return False
    return find_spec("ipywidgets") is not None


@contextmanager
def _bar(what: str, rate: _Rate) -> Iterator[RunProgressCallback]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(
        *columns, console=Console(stderr=True) if sys.stderr.isatty() else Console(), refresh_per_second=5
    ) as progress:
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
