"""The batches of an optimisation, one after the other, and what they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from inverter.augment import Augment
from inverter.loop.forms import check_on_host, form_of, reason_against
from inverter.loop.graphs import Graphs
from inverter.loop.pace import Pace, own_stream
from inverter.loop.progress import Progress, ProgressCallback
from inverter.loop.recorder import GRAPH, Recorder
from inverter.loop.step import CaptureCall, Step
from inverter.models import Model
from inverter.result import Inversion
from inverter.scoring import measured, uncropped
from inverter.settings import Settings
from inverter.views import Called, Transform
from inverter_errors import BadInput
from objectives.base import Objective
from priors.base import Prior


@dataclass(eq=False)
class Batches:
    """Runs batches of the pictures of a prior, each with its own target, and puts the results back into it.

    Args:
        model: the network.
        objective: with one target, or one target for each picture of the prior.
        prior: has started; changed in place.
        settings: with a number of views.
        augment: an `Augment`, or a callable (B, C, H, W) -> (B, C, h, w).
        size: (height, width) of the pictures in pixels.
        graphs: recordings of earlier batches, and of these.

    Raises:
        BadInput: for `graph="on"` where the steps cannot be recorded.
    """

    model: Model
    objective: Objective
    prior: Prior
    settings: Settings
    augment: Augment | Callable[[Tensor], Tensor]
    size: tuple[int, int]
    graphs: Graphs
    _parts: list[tuple[Tensor, ...]] = field(default_factory=list, init=False)
    _loops: dict[str, None] = field(default_factory=dict, init=False)
    _done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        network = self.model, self.objective, self.prior, self.settings, self.augment
        self._window = self.augment.window(self.size) if isinstance(self.augment, Augment) else self.size
        self._reason = reason_against(*network)
        self._form = None if self._reason else form_of(*network, self.size)
        if self._reason and self.settings.graph == "on":
            raise BadInput(f"graph='on': the steps cannot be recorded as a CUDA graph: {self._reason}")

    def run(
        self,
        rows: Tensor,
        capture: CaptureCall,
        generators: Sequence[torch.Generator],
        seed: int,
        progress: ProgressCallback | None,
    ) -> None:
        """Runs one batch.

        Args:
            rows: (n,) indices of its pictures.
            capture: of the layers that the objective reads.
            generators: one for each of these pictures.
            seed: of an augmentation that is a function.
            progress: called after every step.
        """
        with ExitStack() as stack:
            stack.enter_context(own_stream(self.model.device, not self._reason))
            recorder = self._recorder(rows, capture, generators, seed)
            step, started = recorder.step, time.perf_counter()
            replayed = recorder.cost > 0

            def report(number: int) -> None:
                if progress is not None:
                    look = partial(_pictures, step.part, len(rows))
                    steps, units = self.settings.steps, self.prior.count
                    progress(Progress(number + 1, steps, self._done, units, look, len(rows)))

            try:
                pace = Pace(self.model.device)
                for number in range(self.settings.steps):
                    recorder(number)
                    for done in pace.after(number):
                        report(done)
                for done in pace.rest():
                    report(done)
            finally:
                step.optimizer.finish()
                if step.objective is not self.objective:
                    step.give_back()
                mine = step.part if len(rows) == step.part.count else step.part.take(torch.arange(len(rows)))
                self.prior.put(rows, mine)
            self._parts.append(self._found(step, mine, rows))
            if replayed:
                recorder.seconds = time.perf_counter() - started
            self._loops[recorder.loop] = None
            self._done += len(rows)

    def _recorder(
        self, rows: Tensor, capture: CaptureCall, generators: Sequence[torch.Generator], seed: int
    ) -> Recorder:
        """The step of a batch: in a recording of an earlier one, or to be recorded."""
        kept = self.graphs.find(self._form, len(rows), self.objective)
        if kept is not None and not self._checked(kept.count):
            kept = None
        if kept is not None and (missing := kept.count - len(rows)):
            rows = torch.cat([rows, rows[-1:].expand(missing)])
            generators = [*generators, *(torch.Generator("cpu").manual_seed(0) for _ in range(missing))]
        part = self.prior.take(rows).to(self.model.device)
        transform = self._transform(generators, seed)
        step = Step(self.model, self.objective, self.settings, part, transform, rows, capture, self._window)
        if kept is not None:
            kept.step.take(step)
            return kept
        recorder = Recorder(step, self._reason)
        self.graphs.keep(self._form, recorder)
        return recorder

    def _checked(self, count: int) -> bool:
        shapes = self.model.shapes(self.objective.reads, self._window)
        return check_on_host(self.objective, shapes, (count, len(self.model.mean), *self._window))

    def _transform(self, generators: Sequence[torch.Generator], seed: int) -> Transform:
        device, steps = self.model.device, self.settings.steps * (self.settings.views or 1)
        if isinstance(self.augment, Augment):
            return self.augment.prepare(generators, self.size, steps, device, len(self.model.mean))
        return Called(self.augment, seed, device)

    def _found(self, step: Step, part: Prior, rows: Tensor) -> tuple[Tensor, ...]:
        """Pictures, scores, history and where it stopped, on the CPU."""
        with torch.no_grad():
            image = part()
            targets = rows.to(image.device) if self.objective.count > 1 or self.objective.coupled else None
            shown = uncropped(self.model, part, image)
            scores = measured(self.model, self.objective, step.capture, shown, targets)
        count = len(rows)
        history, stopped = step.history[:, :count], step.stopped[:count]
        return image.detach().float().cpu(), scores.cpu(), history.cpu(), stopped.cpu()

    def result(self, labels: tuple[str, ...], seconds: float) -> Inversion:
        """All pictures so far.

        Args:
            labels: of the targets.
            seconds: wall-clock time for each picture.
        """
        images, scores, history, stopped = (
            torch.cat(part, dim=-1 if i == 2 else 0) for i, part in enumerate(zip(*self._parts, strict=True))
        )
        return Inversion(
            images=images,
            scores=scores,
            history=history,
            status=tuple("ok" if step < 0 else f"non-finite at step {step}" for step in stopped.tolist()),
            labels=labels,
            settings=self.settings,
            seconds=seconds,
            loop=GRAPH if GRAPH in self._loops else next(iter(self._loops)),
        )


def _pictures(prior: Prior, count: int) -> Tensor:
    with torch.no_grad():
        return prior()[:count].detach().float().cpu().clone()
