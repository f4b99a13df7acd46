"""Two workers that take turns: the grid in the background, and what a reader is waiting for in the foreground."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from recipes.explore.server.access import Refused

MOST_OF_A_PAGE, MOST = 16, 128
"""Jobs that wait or run: of one page, and of all."""


class Stopped(Exception):
    """Raised in the callback of a step to end work that nobody waits for any more."""


class Job(Protocol):
    """Work in the foreground.

    Attributes:
        page: the page that waits for it.
        slot: where its result is shown; a newer job of the same page and slot replaces it.
    """

    page: str
    slot: str

    def run(self, stop: Callable[[], bool]) -> None:
        """Does it; ends soon after `stop()` has become True. It handles its own errors."""
        ...


@dataclass(eq=False)
class _Turn:
    job: Job
    stopped: threading.Event = field(default_factory=threading.Event)


class Workers:
    """The foreground thread, and how the background waits for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_Turn] = []
        self._running: _Turn | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="foreground", daemon=True)
        self._thread.start()

    def foreground(self, job: Job) -> None:
        """Has a job done, before older ones. One of the same page and slot is stopped.

        Args:
            job: the work.

        Raises:
            Refused: if too many are waiting.
        """
        with self._changed:
            self._stop(lambda other: (other.page, other.slot) == (job.page, job.slot))
            needed = [turn.job.page for turn in self._waiting if not turn.stopped.is_set()]
            if needed.count(job.page) >= MOST_OF_A_PAGE or len(needed) >= MOST:
                raise Refused(429, "too many runs are waiting: wait for one, or close it")
            while len(self._waiting) >= MOST:
                self._waiting.remove(next(turn for turn in self._waiting if turn.stopped.is_set()))
            self._waiting.append(_Turn(job))
            self._changed.notify_all()

    def stop(self, chosen: Callable[[Job], bool]) -> None:
        """Stops the jobs that are chosen, whether they wait or run."""
        with self._changed:
            self._stop(chosen)
            self._changed.notify_all()

    def _stop(self, chosen: Callable[[Job], bool]) -> None:
        for turn in [*self._waiting, *([self._running] if self._running else [])]:
            if chosen(turn.job):
                turn.stopped.set()

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return sum(not turn.stopped.is_set() for turn in self._waiting)

    @property
    def busy(self) -> bool:
        """Whether the foreground has work."""
        return bool(self._waiting) or self._running is not None

    def give_way(self) -> None:
        """Called by the background between two steps: waits while the foreground has work."""
        if self.busy:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or not self.busy)

    def close(self) -> None:
        """Stops all jobs and ends the thread."""
        with self._changed:
            self._closed = True
            self._stop(lambda _: True)
            self._changed.notify_all()
        self._thread.join(10)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting)
                if not self._waiting:
                    return
                turn = self._running = self._waiting.pop()
            try:
                turn.job.run(turn.stopped.is_set)
            except Stopped:
                pass
            except Exception:
                logging.getLogger("inverter.explore").exception("a run failed")
            finally:
                with self._changed:
                    self._running = None
                    self._changed.notify_all()
