"""Work in the actors of a Ray cluster (Moritz et al. 2018): on this machine, or on many."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, MissingLibrary, plural
from recipes.executors.dispatch import Done, Event, Failed, Lost, Progressed, Ready, dispatch
from recipes.executors.threads import default_threads, wait_passively
from recipes.executors.worker import Worker, packed, portable

if TYPE_CHECKING:
    import torch

    from inverter import Model
    from recipes.executors import Results, Work
    from recipes.executors.machines import Machines

POLL_EVERY = 0.5
"""Seconds between two polls of the actors' progress."""


class RayCluster:
    """An executor of actors, each with the network, in a cluster; connects this process to it if necessary.

    Args:
        load: loads the network.
        machines: the options. By default there is one actor per GPU; without GPUs, an actor takes as many cores as
            torch has threads in this process, and there are as many actors as fit.
        device: device of the network in this process.
        spread: use GPUs if the cluster has any.

    Raises:
        MissingLibrary: if Ray is not installed.
        ConnectionError: if the cluster cannot be reached.
        BadInput: if the cluster is too small for even one actor.
    """

    def __init__(self, load: Callable[[], Model], machines: Machines, device: torch.device, spread: bool) -> None:
        import torch

        assert machines.ray is not None
        self.ray, self.load = _connected(machines.ray, (machines.workers or 1) * (machines.threads or 1)), load
        room = self.ray.cluster_resources()
        cores, gpus, here = int(room.get("CPU", 0)), room.get("GPU", 0.0), default_threads()
        default = min(1.0, gpus) if spread or device.type == "cuda" else 0.0
        self.gpus = default if machines.ray_gpus is None else machines.ray_gpus
        workers = machines.workers or (int(gpus / self.gpus) if self.gpus else None)
        self.threads = machines.threads or max(1, min(here, cores // workers if workers else here))
        self.workers = workers or max(1, cores // self.threads)
        self.device = torch.device("cuda") if self.gpus else device
        if self.threads > cores or self.gpus > gpus:
            raise BadInput(
                f"one worker needs {plural(self.threads, 'core')} and {self.gpus:g} GPUs, but the entire Ray "
                f"cluster has {cores} and {gpus:g}: set smaller threads or ray_gpus"
            )

    def map(self, work: Work, jobs: Sequence[Any], on_progress: Callable[[int, float], None]) -> Results:
        payload = packed(self.ray.cloudpickle.dumps, self.load, work)
        return dispatch(_Crew(self.ray, payload, self.workers, self.threads, self.gpus), jobs, on_progress)


def _connected(where: str, cores: int) -> Any:
    """The module ray, connected to a cluster; an existing connection is reused."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise a local cluster sends usage statistics
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingLibrary("ray is not installed: pip install 'inverter-vis[ray]'") from None
    if ray.is_initialized():
        return ray
    local = {"num_cpus": max(cores, os.cpu_count() or 1), "include_dashboard": False} if where == "local" else {}
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(where, log_to_driver=False, logging_level="ERROR", **local)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConnectionError(
            f"no Ray cluster at {where!r} ({reason}): start one with `ray start --head`, make sure that its token is "
            "here, or set ray to local"
        ) from error
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray installs its own handler
    return ray


class _Crew:
    """Actors, and their pending calls: each answer is awaited as an object of Ray's store."""

    def __init__(self, ray: Any, payload: bytes, size: int, threads: int, gpus: float) -> None:
        self.ray, self.size, self.payload = ray, size, ray.put(payload)
        self.begin = (threads, str(Path.cwd()))
        # Two calls at a time: one that works, and one that reports its progress.
        self.kind = ray.remote(num_cpus=threads, num_gpus=gpus, max_restarts=0, max_concurrency=2)(_Actor)
        self.actors: dict[int, Any] = {}
        self.pending: dict[Any, int] = {}
        self.busy: set[int] = set()

    def start(self, worker: int) -> None:
        actor = self.actors[worker] = self.kind.remote()
        self.pending[actor.begin.remote(self.payload, *self.begin)] = worker

    def give(self, worker: int, job: Any) -> None:
        self.pending[self.actors[worker].do.remote(pickle.dumps(job))] = worker
        self.busy.add(worker)

    def wait(self) -> Iterator[Event]:
        found, _ = self.ray.wait(list(self.pending), timeout=POLL_EVERY)
        for answer in found:
            if (worker := self.pending.pop(answer, None)) is None:
                continue
            self.busy.discard(worker)
            try:
                yield _event(worker, *self.ray.get(answer))
            except self.ray.exceptions.RayError as error:
                self._forget(worker)
                yield Lost(worker, (str(error).strip().splitlines() or [type(error).__name__])[-1])
        if not found:
            yield from self._shares()

    def _shares(self) -> Iterator[Event]:
        """The progress of each busy worker; one that does not answer in time is polled again later."""
        if not (calls := {self.actors[worker].progress.remote(): worker for worker in self.busy}):
            return
        answers, _ = self.ray.wait(list(calls), num_returns=len(calls), timeout=POLL_EVERY)
        for answer in answers:
            with suppress(self.ray.exceptions.RayError):  # the answer to its job will show that it is lost
                yield Progressed(calls[answer], self.ray.get(answer))

    def _forget(self, worker: int) -> None:
        self.busy.discard(worker)
        self.ray.kill(self.actors.pop(worker))
        self.pending = {answer: other for answer, other in self.pending.items() if other != worker}

    def stop(self) -> None:
        for worker in list(self.actors):
            self._forget(worker)


class _Actor:
    """A worker in the cluster. It returns exceptions instead of raising them: an error of Ray means that it is lost."""

    def __init__(self) -> None:
        self.share = 0.0

    def begin(self, payload: bytes, threads: int, folder: str) -> tuple[str, Any]:
        try:
            wait_passively()
            os.chdir(folder)  # so that relative paths mean the same as in the main process
            self.worker = Worker(payload, threads)
        except Exception as error:
            return "failed", portable(error)
        return "ready", None

    def do(self, job: bytes) -> tuple[str, Any]:
        self.share = 0.0
        try:
            return "done", self.worker.answer(pickle.loads(job), self._on_progress)
        except Exception as error:
            return "failed", portable(error)

    def _on_progress(self, share: float) -> None:
        self.share = share

    def progress(self) -> float:
        return self.share


def _event(worker: int, kind: str, content: Any) -> Event:
    if kind == "ready":
        return Ready(worker)
    return Done(worker, pickle.loads(content)) if kind == "done" else Failed(worker, pickle.loads(content))
