"""Writing in the background while the next pictures are made: jobs in order, the parts of each in several threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from inverter_errors import RunFailed

AHEAD = 2
"""Jobs that may wait, each with the pictures of a batch; `submit` blocks until there are fewer."""
THREADS = 8
"""Parts of a job done at a time, at most: encoding and flushing to disk both leave Python's lock to others."""

Job = Callable[[], object]


class Writer:
    """Does jobs one after the other in a thread of its own; the first that fails ends them all.

    Its error is raised in the thread that employs the writer, by each call until then and after.

    Example:
        >>> writer, done = Writer(), []
        >>> writer.submit(lambda: writer.each([lambda: done.append(1), lambda: done.append(1)]))
        >>> writer.submit(lambda: done.append("next"))
        >>> writer.drain()
        >>> done
        [1, 1, 'next']
    """

    def __init__(self) -> None:
        # Their threads start with the first job, and end with this object.
        self._jobs = ThreadPoolExecutor(1, "writer")
        self._parts = ThreadPoolExecutor(min(THREADS, max(2, os.cpu_count() or 1)), "writer-part")
        self._waiting: deque[Future[None]] = deque()
        self._error: Exception | None = None

    def submit(self, job: Job) -> None:
        """Adds a job; it returns at once, unless too many are waiting.

        Args:
            job: called later, in the writer's thread; what it returns is ignored.

        Raises:
            Exception: of an earlier job.
        """
        while len(self._waiting) >= AHEAD:
            self._waiting.popleft().result()
        self.check()
        self._waiting.append(self._jobs.submit(self._do, job))

    def each(self, parts: Iterable[Job]) -> None:
        """Does the parts of the running job, several at a time, and returns once all have ended.

        Raises:
            Exception: the first of the parts' errors, in their order.
        """
        ended = [self._parts.submit(part) for part in parts]
        wait(ended)
        for part in ended:
            part.result()

    def check(self) -> None:
        """Raises the error of a job that has failed, if there is one."""
        if self._error is not None:
            raise self._error

    def drain(self) -> None:
        """Waits until no job is left; it raises no error: `check` does."""
        while self._waiting:
            self._waiting[0].result()  # an interruption leaves it in the queue
            self._waiting.popleft()

    def _do(self, job: Job) -> None:
        if self._error is None:
            try:
                job()
            except MemoryError:  # of this process, not of the batch at work, which would be halved for it
                self._error = RunFailed("no memory was left to write a picture: set a smaller batch_size or size")
            except Exception as error:
                self._error = error
