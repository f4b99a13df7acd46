"""Work in this process, one job after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from inverter import Model
from recipes.executors import Results, Work
from recipes.executors.threads import default_threads


class InProcess:
    """An executor without workers.

    Args:
        model: the network.
        threads: torch threads while it works; by default those of `default_threads`.
    """

    def __init__(self, model: Model, threads: int | None = None) -> None:
        self.model, self.device = model, model.device
        self.threads = threads or default_threads()

    def map(self, work: Work, jobs: Sequence[Any], on_progress: Callable[[int, float], None]) -> Results:
        for index, job in enumerate(jobs):
            with self.threaded():
                result = work(self.model, job, partial(on_progress, index))
            yield index, result

    @contextmanager
    def threaded(self) -> Iterator[None]:
        """Context in which torch uses this executor's number of threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
