"""The foreground: newest first, one job for each place on a page, and the background waits meanwhile."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from recipes.explore.server.access import Refused
from recipes.explore.server.workers import MOST_OF_A_PAGE, Stopped, Workers

ORDER: list[str] = []


@dataclass
class Job:
    name: str
    page: str = "page"
    slot: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: Callable[[], bool]) -> None:
        self.began.set()
        try:
            while not self.gate.wait(0.002):
                if stop():
                    ORDER.append(f"{self.name} stopped")
                    raise Stopped
            ORDER.append(f"{self.name} stopped" if stop() else self.name)
        finally:
            self.ended.set()


@pytest.fixture
def workers() -> Iterator[Workers]:
    ORDER.clear()
    workers = Workers()
    yield workers
    workers.close()


def test_the_newest_job_is_done_first(workers: Workers) -> None:
    jobs = [Job(name, slot=name) for name in "abc"]
    workers.foreground(jobs[0])
    assert jobs[0].began.wait(5)
    for job in jobs[1:]:
        workers.foreground(job)
    assert (workers.waiting, workers.busy) == (2, True)
    for job in jobs:
        job.gate.set()
    assert all(job.ended.wait(5) for job in jobs)
    assert ORDER == ["a", "c", "b"]


def test_a_newer_job_of_the_same_place_stops_the_older_ones(workers: Workers) -> None:
    running, waiting, last = Job("running", slot="s"), Job("waiting", slot="s"), Job("last", slot="s")
    other = Job("other", page="another", slot="s")
    for job in (running, other, waiting, last):
        workers.foreground(job)
        assert running.began.wait(5)
    for job in (waiting, last, other):
        job.gate.set()
    assert all(job.ended.wait(5) for job in (running, waiting, last, other))
    assert sorted(ORDER) == ["last", "other", "running stopped", "waiting stopped"]


def test_the_jobs_of_a_page_that_closes_are_stopped(workers: Workers) -> None:
    mine, theirs = Job("mine", page="a"), Job("theirs", page="b")
    workers.foreground(mine)
    assert mine.began.wait(5)
    workers.foreground(theirs)
    workers.stop(lambda job: job.page == "a")
    theirs.gate.set()
    assert mine.ended.wait(5) and theirs.ended.wait(5)
    assert ORDER == ["mine stopped", "theirs"]


def test_the_background_waits_while_the_foreground_works(workers: Workers) -> None:
    job, passed = Job("job"), threading.Event()
    workers.give_way()  # at once
    workers.foreground(job)
    assert job.began.wait(5)
    threading.Thread(target=lambda: (workers.give_way(), passed.set()), daemon=True).start()
    assert not passed.wait(0.05)
    job.gate.set()
    assert passed.wait(5)


def test_jobs_are_bounded_and_those_that_were_replaced_do_not_count(workers: Workers) -> None:
    first = Job("first", slot="first")
    workers.foreground(first)
    assert first.began.wait(5)
    for _ in range(300):
        workers.foreground(Job("moved", slot="slider"))
    for number in range(MOST_OF_A_PAGE - 1):
        workers.foreground(Job("more", slot=str(number)))
    with pytest.raises(Refused, match="too many runs"):
        workers.foreground(Job("too many", slot="x"))
    assert len(workers._waiting) <= 128


def test_a_job_that_fails_does_not_end_the_others(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    class Bad(Job):
        def run(self, stop: Callable[[], bool]) -> None:
            raise ValueError("a fault")

    good = Job("good", slot="good")
    good.gate.set()
    workers.foreground(Bad("bad"))
    workers.foreground(good)
    assert good.ended.wait(5)
    workers.close()
    assert "a fault" in caplog.text
