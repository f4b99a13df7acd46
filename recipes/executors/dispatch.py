"""Dispatching jobs to workers that may die: assignment, retries, and when to give up."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from inverter_errors import RunFailed

if TYPE_CHECKING:
    from recipes.executors import Results

TRIES = 3
"""Attempts at a job that kills its worker."""
AHEAD = 4
"""Jobs per worker that may start beyond the first unfinished one; it limits the results that wait for that one."""


@dataclass(frozen=True)
class Ready:
    """A worker has started, and holds the network."""

    worker: int


@dataclass(frozen=True)
class Progressed:
    """A worker has done this fraction of its job."""

    worker: int
    share: float


@dataclass(frozen=True)
class Done:
    """A worker has finished its job."""

    worker: int
    result: Any


@dataclass(frozen=True)
class Failed:
    """The work raised an error, which a retry would raise again."""

    worker: int
    error: Exception


@dataclass(frozen=True)
class Lost:
    """A worker has died."""

    worker: int
    how: str


Event = Ready | Progressed | Done | Failed | Lost


class Crew(Protocol):
    """Numbered workers, in processes or in a cluster.

    Attributes:
        size: number of workers.
    """

    size: int

    def start(self, worker: int) -> None:
        """Starts a worker, or restarts a lost one. `Ready` follows later."""
        ...

    def give(self, worker: int, job: Any) -> None:
        """Gives a job to an idle worker; `Lost` follows if it is dead."""
        ...

    def wait(self) -> Iterator[Event]:
        """Waits for the next events."""
        ...

    def stop(self) -> None:
        """Terminates all workers immediately."""
        ...


def dispatch(crew: Crew, jobs: Sequence[Any], on_progress: Callable[[int, float], None]) -> Results:
    """Yields the result of each job, with its index, in order of completion: see `Executor.map`."""
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
                            raise RunFailed(_given_up(index, how))
                        crew.start(worker)
    finally:
        crew.stop()


def _given_up(index: int, how: str) -> str:
    if index < 0:
        return (
            f"workers repeatedly ended before they could start (the last: {how}): use fewer if memory is short; "
            "your own script must call run() below `if __name__ == '__main__':`"
        )
    return (
        f"batch {index + 1} lost its worker {TRIES} times (the last: {how}); finished units are kept. If memory is "
        "short, use fewer workers or a smaller batch_size"
    )
