"""Work in several processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from inverter_errors import plural
from recipes.executors.dispatch import Done, Event, Failed, Lost, Progressed, Ready, dispatch
from recipes.executors.threads import default_threads, wait_passively
from recipes.executors.worker import Worker, packed, portable

if TYPE_CHECKING:
    import torch

    from inverter import Model
    from recipes.executors import Results, Work

GRACE = 5.0
"""Seconds that a process has to exit after SIGTERM, before it is killed."""


class Processes:
    """An executor of `workers` processes; each loads the network once.

    Args:
        load: loads the network.
        workers: number of processes.
        threads: torch threads in each; None divides `default_threads` among them.
        device: device of the network.
        spread: give each worker one of the GPUs that this process sees.
    """

    def __init__(
        self,
        load: Callable[[], Model],
        workers: int,
        threads: int | None,
        device: torch.device,
        spread: bool = True,
    ) -> None:
        self.load, self.workers, self.device = load, workers, device
        self.threads = threads or max(1, default_threads() // workers)
        self.gpus = _visible_gpus() if spread and device.type == "cuda" else []
        if len(self.gpus) in range(1, workers):
            warnings.warn(
                f"{workers} workers share {plural(len(self.gpus), 'GPU')}: set workers to {len(self.gpus)}",
                stacklevel=2,
            )

    def map(self, work: Work, jobs: Sequence[Any], on_progress: Callable[[int, float], None]) -> Results:
        payload = packed(pickle.dumps, self.load, work)
        return dispatch(_Crew(payload, self.workers, self.threads, self.gpus), jobs, on_progress)


def _visible_gpus() -> list[str]:
    """The GPUs that this process sees, as CUDA names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(index) for index in range(torch.cuda.device_count())]


class _Crew:
    """Processes, each connected by its own pipe: a shared queue could break when one of them dies."""

    def __init__(self, payload: bytes, size: int, threads: int, gpus: Sequence[str]) -> None:
        self.payload, self.size, self.threads, self.gpus = payload, size, threads, gpus
        self.context = multiprocessing.get_context("spawn")  # a fork would inherit torch's thread pool, dead
        self.processes: dict[int, tuple[Any, Connection]] = {}

    def start(self, worker: int) -> None:
        ours, theirs = self.context.Pipe()
        gpu = self.gpus[worker % len(self.gpus)] if self.gpus else None
        process = self.context.Process(target=_serve, args=(theirs, self.threads, gpu), daemon=True)
        with _without_interrupts():
            process.start()
        theirs.close()  # now it closes with the process
        self.processes[worker] = process, ours
        self._send(worker, self.payload)

    def give(self, worker: int, job: Any) -> None:
        self._send(worker, pickle.dumps(job))

    def _send(self, worker: int, data: bytes) -> None:
        with suppress(OSError):  # it is dead: `wait` will notice
            self.processes[worker][1].send_bytes(data)

    def wait(self) -> Iterator[Event]:
        places = {connection: worker for worker, (_, connection) in self.processes.items()}
        for connection in wait(list(places)):
            assert isinstance(connection, Connection)
            worker = places[connection]
            try:
                yield _event(worker, connection)
            except (EOFError, OSError):
                yield Lost(worker, self._end(worker))

    def _end(self, worker: int) -> str:
        """Cleans up a process that has closed its pipe, and describes how it ended."""
        process, connection = self.processes.pop(worker)
        connection.close()
        _end(process)
        code = process.exitcode
        process.close()
        return f"killed by signal {-code}" if code is not None and code < 0 else f"it ended with code {code}"

    def stop(self) -> None:
        for process, _ in self.processes.values():
            process.terminate()
        for worker in list(self.processes):
            self._end(worker)


def _end(process: Any) -> None:
    process.join(GRACE)
    if process.is_alive():
        process.kill()
        process.join()


def _event(worker: int, connection: Connection) -> Event:
    kind, content = pickle.loads(connection.recv_bytes())
    if kind == "progressed":
        return Progressed(worker, content)
    if kind == "ready":
        return Ready(worker)
    return Done(worker, pickle.loads(content)) if kind == "done" else Failed(worker, pickle.loads(content))


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C reaches all processes of a terminal: those started in here ignore it, and the parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, threads: int, gpu: str | None) -> None:
    """A worker's main loop: receives the work, then job after job, until its parent ends it or dies."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    wait_passively()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu

    def send(kind: str, content: Any = None) -> None:
        connection.send_bytes(pickle.dumps((kind, content)))

    with suppress(EOFError, BrokenPipeError):  # the parent has closed the pipe
        try:
            worker = Worker(connection.recv_bytes(), threads)
        except Exception as error:
            send("failed", portable(error))
            return
        send("ready")
        while True:
            job = pickle.loads(connection.recv_bytes())
            try:
                answer = worker.answer(job, lambda share: send("progressed", share))
            except Exception as error:
                send("failed", portable(error))
            else:
                send("done", answer)


def _exit_with_parent() -> None:
    """Ends this process when its parent ends, even if it is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
