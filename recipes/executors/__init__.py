"""Where a recipe's work is done: in this process, in several processes of this machine, or in a Ray cluster.

Work is a function `work(model, job, on_progress)` of the network, a job and a callback for the job's progress. An
executor calls it for every job and passes the results to a single writer. Workers hold the network, not the state of
the run: the result does not depend on which of them does a job, or when.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from inverter import Model
    from recipes.executors.machines import Machines

JobProgressCallback = Callable[[float], None]
"""Called with the fraction of a job that is done, in [0, 1]."""

Work = Callable[["Model", Any, JobProgressCallback], Any]
"""What a worker does with the network for one job; returns the result."""

Results = Generator[tuple[int, Any], None, None]
"""The results of jobs in order of completion, each with the job's index."""


class Executor(Protocol):
    """Does the work for many jobs.

    Attributes:
        threads: torch threads per job; the order of summation, and so the last bits, depend on it.
        device: device of the network.
    """

    threads: int
    device: torch.device

    def map(self, work: Work, jobs: Sequence[Any], on_progress: Callable[[int, float], None]) -> Results:
        """Yields the result of each job, in order of completion; closing the iterator stops all workers.

        Args:
            work: the function to call.
            jobs: its arguments, one for each call.
            on_progress: called with the index of a job and the fraction of it that is done.

        Raises:
            Exception: whatever the work raises.
            RuntimeError: if workers are lost repeatedly.
        """
        ...


def executor(machines: Machines, load: Callable[[], Model], model: Model, device: str | None) -> Executor:
    """Creates the executor for the given options.

    Args:
        machines: the options.
        load: loads the network in another process.
        model: the network, loaded in this process.
        device: as requested by the user. Unless it names one GPU, each worker gets a GPU of its own.

    Raises:
        MissingLibrary: if Ray is requested but not installed.
        ConnectionError: if its cluster cannot be reached.
        BadInput: if the cluster is too small for even one worker.
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
