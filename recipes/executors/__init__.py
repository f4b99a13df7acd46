"""Where a recipe's work is done: in this process, in several on this machine, or in those of a Ray cluster.

Work is a function `work(model, job, on_progress)` of the network, of one job and of a callback for the share that is
done. An executor calls it for every job and hands the results to one writer. Workers hold the network, not the state
of the run: which of them does a job, and when, does not show in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from inverter import Model
    from recipes.executors.machines import Machines

JobProgressCallback = Callable[[float], None]
"""Called with the share of a job that is done, in [0, 1]."""

Work = Callable[["Model", Any, JobProgressCallback], Any]
"""Done with the network, for one job."""

Results = Generator[tuple[int, Any], None, None]
"""The results of jobs, each with the job's index, as they come."""


class Executor(Protocol):
    """Does work for many jobs.

    Attributes:
        threads: of torch, for each job: sums are made in another order with other numbers of them.
        device: where the network computes.
    """

    threads: int
    device: torch.device

    def map(self, work: Work, jobs: Sequence[Any], on_progress: Callable[[int, float], None]) -> Results:
        """The result of each job, with the job's index, as they come. Closing the iterator ends all that was begun.

        Args:
            told: called with the index of a job and the share of it that is done.

        Raises:
            Exception: whatever the work raises.
            RuntimeError: if a worker is lost, again and again.
        """
        ...


def executor(machines: Machines, load: Callable[[], Model], model: Model, device: str | None) -> Executor:
    """The executor that was asked for.

    Args:
        load: makes the network anew where another process needs it. model: the one that is here already.
        device: as it was asked for. If that leaves open which GPU, each worker gets one of its own.

    Raises:
        MissingLibrary: if Ray is asked for but not installed.
        ConnectionError: if its cluster cannot be reached.
        BadInput: if not one worker would find room in it.
    """
    spread = device in (None, "auto", "cuda")
    if machines.ray is not None:
        from recipes.executors.ray_cluster import RayCluster

        return RayCluster(load, machines, model.device, spread)
    if (machines.workers or 1) > 1:
        from recipes.executors.processes import Processes

        return Processes(load, machines.workers or 1, machines.threads, model.device, spread)
    from recipes.executors.in_process import InProcess

    return InProcess(model, machines.threads)
