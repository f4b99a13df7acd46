"""CUDA graphs: a step is recorded once and replayed, so that the GPU does not wait for Python to start its kernels."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import torch

from inverter.loop.step import Phase, Step
from inverter_errors import InverterError

WARM = 3
"""Steps of a phase before it is recorded: in the first ones libraries choose kernels, make plans and allocate."""
GRAPH = "graph"
"""`Inversion.loop` of a batch whose steps were recorded."""


class Recorder:
    """Runs a step again and again: as it is, and on a GPU from the fourth step of a phase on by its recording.

    A recording runs the same kernels on the same memory. It makes no use of the host, so what it launches are the
    operations of the step alone. L-BFGS moves the pictures outside of it.

    Args:
        step: to be run.
        reason: why it cannot be recorded; "" if it can.

    Attributes:
        loop: `graph`, or `eager: ` and the reason.
        cost: seconds that the first steps and the recordings took.
        seconds: that a batch took which was only replayed; None if there was none.
    """

    def __init__(self, step: Step, reason: str) -> None:
        self.step, self.reason = step, reason
        self.cost = 0.0
        self.seconds: float | None = None
        self._graphs: dict[Phase, tuple[torch.cuda.CUDAGraph, Any]] = {}
        self._runs = Counter[Phase]()
        self._pool: Any = None

    @property
    def loop(self) -> str:
        return f"eager: {self.reason}" if self.reason else GRAPH

    @property
    def count(self) -> int:
        """Pictures in the batch."""
        return self.step.part.count

    def __call__(self, number: int) -> None:
        """Runs the step `number`; the device may still be at it afterwards."""
        step, started = self.step, time.perf_counter()
        phase = step.phase(number, always_watch=not self.reason)
        if phase in self._graphs:
            graph, step.found = self._graphs[phase]
            graph.replay()
        elif not self.reason and self._runs[phase] >= WARM:
            self._record(number, phase)
        else:
            self._run(number, phase)
            self._runs[phase] += 1
        if not step.optimizer.recordable:
            step.move(number)
        step.rescue.send(number)
        if not self._graphs or self._runs[phase] <= WARM:
            self.cost += time.perf_counter() - started

    def _run(self, number: int, phase: Phase) -> None:
        self.step.evaluate(number, phase)
        if self.step.optimizer.recordable:
            self.step.move(number)

    def _record(self, number: int, phase: Phase) -> None:
        """Records a phase and runs it; a step that turns out to need the host runs as it is from now on."""
        self._runs[phase] += 1
        if getattr(self.step.capture, "drew", False):
            self.reason = "the network draws random numbers in its forward pass"
            return self._run(number, phase)
        graph, device = torch.cuda.CUDAGraph(), self.step.model.device
        try:
            with torch.cuda.graph(
                graph, self._pool, torch.cuda.current_stream(device), capture_error_mode="thread_local"
            ):
                self._run(number, phase)
        except (torch.OutOfMemoryError, InverterError):
            raise
        except RuntimeError as error:
            self.reason = f"the step cannot be recorded: {str(error).partition(chr(10))[0]}"
            return self._run(number, phase)
        self._pool = graph.pool()
        self._graphs[phase] = graph, self.step.found
        return graph.replay()
