"""The writer: jobs in order, a bounded queue, and the first error raised at once and for good."""

import threading

import pytest

from inverter.isolation.device_faults import out_of_memory
from inverter_errors import RunFailed
from recipes.outputs.writer import AHEAD, Writer


def test_jobs_wait_in_a_bounded_queue_and_are_done_in_order() -> None:
    writer, go, done = Writer(), threading.Event(), list[int]()

    def job(number: int) -> None:
        go.wait(10)
        done.append(number)

    for number in range(AHEAD):
        writer.submit(lambda number=number: job(number))  # type: ignore[misc]
    blocked = threading.Thread(target=writer.submit, args=(lambda: job(AHEAD),))
    blocked.start()
    blocked.join(0.05)
    assert blocked.is_alive()
    assert done == []
    go.set()
    blocked.join(10)
    writer.drain()
    assert done == list(range(AHEAD + 1))


def test_the_parts_of_a_job_are_done_at_the_same_time() -> None:
    writer, both = Writer(), threading.Barrier(2)
    writer.submit(lambda: writer.each([lambda: both.wait(10)] * 2))
    writer.drain()
    writer.check()


def test_the_first_error_is_raised_at_once_and_ends_what_follows_it() -> None:
    writer, done = Writer(), list[str]()

    def fails() -> None:
        raise OSError("the disk is full")

    # The other parts of the job end before its error is raised: no half of a file is left behind.
    writer.submit(lambda: writer.each([fails, lambda: done.append("other part")]))
    writer.drain()
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is full"):
            writer.check()
        with pytest.raises(OSError, match="the disk is full"):
            writer.submit(lambda: done.append("next job"))
    writer.drain()
    assert done == ["other part"]


def test_memory_that_runs_out_here_is_not_taken_for_that_of_the_batch_at_work() -> None:
    writer = Writer()

    def fails() -> None:
        raise MemoryError

    writer.submit(fails)
    writer.drain()
    with pytest.raises(RunFailed, match="no memory was left to write a picture") as caught:
        writer.check()
    assert not out_of_memory(caught.value)
