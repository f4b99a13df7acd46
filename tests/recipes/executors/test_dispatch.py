"""Dispatching jobs: each is done once, whichever worker dies, and few results wait for an earlier one."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.executors.dispatch import AHEAD, TRIES, Done, Event, Failed, Lost, Progressed, Ready, dispatch


class DrawnCrew:
    """A crew in one process: hypothesis draws what happens to each worker, step by step."""

    def __init__(self, size: int, draw: Any, deaths: int = 0) -> None:
        self.size, self.draw, self.deaths = size, draw, deaths
        self.states: dict[int, str] = {}
        self.jobs: dict[int, int] = {}
        self.given: list[int] = []
        self.stopped = False

    def start(self, worker: int) -> None:
        assert self.states.get(worker, "gone") == "gone"
        self.states[worker] = "starting"

    def give(self, worker: int, job: int) -> None:
        assert self.states[worker] == "waiting"
        self.states[worker], self.jobs[worker] = "working", job
        self.given.append(job)

    def wait(self) -> Iterator[Event]:
        moving = sorted(worker for worker, state in self.states.items() if state in ("starting", "working"))
        worker = self.draw(st.sampled_from(moving or sorted(self.states)))
        happens = self.draw(st.sampled_from(["on", "on", "progresses", "dies"]))
        state = self.states[worker]
        if happens == "dies" and self.deaths:
            self.deaths -= 1
            self.states[worker] = "gone"
            yield Lost(worker, "drawn")
        elif state == "starting":
            self.states[worker] = "waiting"
            yield Ready(worker)
        elif state == "working" and happens == "progresses":
            yield Progressed(worker, 0.5)
        elif state == "working":
            self.states[worker] = "waiting"
            yield Done(worker, self.jobs[worker] * 10)

    def stop(self) -> None:
        self.stopped = True


@given(st.data(), st.integers(1, 4), st.integers(0, 30), st.integers(0, TRIES - 1))
def test_every_job_is_done_once_whichever_worker_dies(data: st.DataObject, size: int, jobs: int, deaths: int) -> None:
    crew, shares = DrawnCrew(size, data.draw, deaths), list[tuple[int, float]]()
    found = []
    for index, result in dispatch(crew, range(jobs), lambda *progress: shares.append(progress)):
        finished = {one for one, _ in found}
        first = min(set(range(jobs)) - finished)
        assert index < first + AHEAD * size  # at most this many results wait for the first
        found.append((index, result))
    assert sorted(found) == [(job, job * 10) for job in range(jobs)]
    assert len(crew.given) <= jobs + TRIES - 1
    assert {index for index, _ in shares} <= set(range(jobs))
    assert crew.stopped


def test_a_job_that_kills_its_workers_ends_the_run_after_the_earlier_results() -> None:
    class DeadlyJob(DrawnCrew):
        def wait(self) -> Iterator[Event]:
            for worker, state in list(self.states.items()):
                if state == "working" and self.jobs[worker] == 2:
                    self.states[worker] = "gone"
                    yield Lost(worker, "killed by signal 9")
                else:
                    yield from self._on(worker, state)

        def _on(self, worker: int, state: str) -> Iterator[Event]:
            self.states[worker] = "waiting"
            yield Ready(worker) if state == "starting" else Done(worker, self.jobs[worker])

    crew, found = DeadlyJob(1, None), []
    with pytest.raises(RuntimeError, match=r"batch 3 lost its worker 3 times \(the last: killed by signal 9\).*kept"):
        for index, _ in dispatch(crew, range(5), lambda *_: None):
            found.append(index)
    assert found == [0, 1]
    assert crew.given == [0, 1, 2, 2, 2]
    assert crew.stopped


def test_workers_that_never_start_end_the_run() -> None:
    class NeverStarts(DrawnCrew):
        def wait(self) -> Iterator[Event]:
            for worker in list(self.states):
                self.states[worker] = "gone"
                yield Lost(worker, "it ended with code 1")

    crew = NeverStarts(2, None)
    with pytest.raises(RuntimeError, match=r"before they could start \(the last: it ended with code 1\)"):
        list(dispatch(crew, range(5), lambda *_: None))
    assert crew.stopped


def test_an_error_in_a_job_or_an_abandoned_iterator_stops_the_crew() -> None:
    class FailingJob(DrawnCrew):
        def wait(self) -> Iterator[Event]:
            for worker, state in list(self.states.items()):
                if state == "starting":
                    self.states[worker] = "waiting"
                    yield Ready(worker)
                elif self.jobs[worker] == 1:
                    yield Failed(worker, LookupError("no layer 'x'"))
                else:
                    self.states[worker] = "waiting"
                    yield Done(worker, None)

    crew = FailingJob(1, None)
    with pytest.raises(LookupError, match="no layer"):
        list(dispatch(crew, range(2), lambda *_: None))
    assert crew.stopped
    crew = FailingJob(1, None)
    results = dispatch(crew, range(2), lambda *_: None)
    next(results)
    results.close()
    assert crew.stopped
