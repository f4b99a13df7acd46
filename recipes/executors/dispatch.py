"""Handing jobs to workers that may die: who gets what, what is done again, and when to give up."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from recipes.executors import Results

TRIES = 3
"""So often a job may take its worker down with it."""
AHEAD = 4
"""Jobs for each worker that may be begun beyond the first unfinished one: so many results may have to wait for it."""


@dataclass(frozen=True)
class Ready:
    """A worker has begun, and holds the network."""

    worker: int


@dataclass(frozen=True)
class Progressed:
    """A worker has done this share of its job."""

    worker: int
    share: float


@dataclass(frozen=True)
class Done:
    """A worker has finished its job."""

    worker: int
    result: Any


@dataclass(frozen=True)
class Failed:
    """The work raised an error: it would do so again."""

    worker: int
    error: Exception


@dataclass(frozen=True)
class Lost:
    """A worker is gone, however far it was."""

    worker: int
    how: str


Event = Ready | Progressed | Done | Failed | Lost


class Crew(Protocol):
    """Workers by number, wherever they are."""

    size: int

    def start(self, worker: int) -> None:
        """Starts a worker, or starts it again once it is lost. It is `Ready` later, if ever."""
        ...

    def give(self, worker: int, job: Any) -> None:
        """Gives a job to a worker that waits for one; it is `Lost` if that cannot be."""
        ...

    def wait(self) -> Iterator[Event]:
        """Waits for the next events."""
        ...

    def stop(self) -> None:
        """Ends all workers, at once, whatever they are at."""
        ...


def dispatch(crew: Crew, jobs: Sequence[Any], on_progress: Callable[[int, float], None]) -> Results:
    """The result of each job, with its index, as they come: see `Executor.map`."""
    todo, busy, idle = deque(range(len(jobs))), dict[int, int](), deque[int]()
    lost, deaths = Counter[int](), 0
    try:
        for worker in range(min(crew.size, len(jobs))):
            crew.start(worker)
        while todo or busy:
            first = min([*busy.values(), *([todo[0]] if todo else [])])
            while idle and todo and todo[0] < first + AHEAD * crew.size:
                worker, index = idle.popleft(), todo.popleft()
                busy[worker] = index
                crew.give(worker, jobs[index])
            for event in crew.wait():
                worker = event.worker
                match event:
                    case Ready():
                        idle.append(worker)
                    case Progressed(share=share):
                        if worker in busy:
                            on_progress(busy[worker], share)
                    case Done(result=result):
                        deaths = 0
                        idle.append(worker)
                        yield busy.pop(worker), result
                    case Failed(error=error):
                        raise error
                    case Lost(how=how):
                        deaths += 1
                        if worker in idle:
                            idle.remove(worker)
                        index = busy.pop(worker, -1)
                        if index >= 0:
                            lost[index] += 1
                            todo.appendleft(index)
                            on_progress(index, 0.0)
                        if lost[index] >= TRIES or deaths > TRIES * crew.size:
                            raise RuntimeError(_given_up(index, how))
                        crew.start(worker)
    finally:
        crew.stop()


def _given_up(index: int, how: str) -> str:
    if index < 0:
        return (
            f"one worker after the other ended before it could begin (the last: {how}): take fewer of them if memory "
            "is short; a script of one's own must call run() below `if __name__ == '__main__':`"
        )
    return (
        f"batch {index + 1} lost its worker {TRIES} times (the last: {how}); what is finished is kept. If memory is "
        "short, take fewer workers or a smaller batch_size"
    )
