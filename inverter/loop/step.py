"""One step of a batch as a function of tensors on the device alone, so that a GPU can record it and replay it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from inverter.ascent.adam import Adam
from inverter.ascent.climbed_gates import ClimbedGates
from inverter.ascent.dips import Lift
from inverter.ascent.folding import Folding
from inverter.ascent.input_gradients import InputGradients
from inverter.ascent.lbfgs import LBFGS
from inverter.ascent.optimizer import Optimizer, finite
from inverter.ascent.rescue import Rescue
from inverter.models import Model
from inverter.scoring import no_gradient, scored
from inverter.settings import Settings
from inverter.views import Transform
from objectives.base import Activations, Objective
from priors.base import Prior

CaptureCall = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Phase:
    """What the host decides about a step: steps of equal phase run the same operations on the device.

    Attributes:
        watch: the gradient of the network's input is examined, to find the pictures that have none.
        redirect: those get a redirected gradient (`RedirectedReLU`).
        lift: units below the dip of a GELU are led out of it (`inverter.ascent.dips.Lift`).
        prior: of the prior (`Prior.variant`).
    """

    watch: bool
    redirect: bool
    lift: bool
    prior: Hashable


class Step:
    """One step of a batch: prior, views, network, objective, gradients, optimiser, projection.

    What differs from step to step lies in tables on the device and is read by a counter on the device; what the host
    decides is the step's `phase`. All tensors that outlast a step keep their places in memory, and `take` fills them
    with another batch.

    Args:
        model: the network.
        objective: with one target, or one target for each picture of the prior that `part` was taken from.
        settings: with a number of views.
        part: the pictures, B of them, on the model's device.
        transform: their views.
        rows: (B,) indices of the pictures' targets.
        capture: of the layers that the objective reads.
        window: (height, width) of a view in pixels.

    Attributes:
        history: (steps, B) the scores so far, NaN for steps to come.
        stopped: (B,) the step in which a picture stopped, or -1.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        settings: Settings,
        part: Prior,
        transform: Transform,
        rows: Tensor,
        capture: CaptureCall,
        window: tuple[int, int],
    ) -> None:
        device, count = model.device, part.count
        self.model, self.objective, self.settings, self.part = model, objective, settings, part
        self.transform, self.capture, self.window = transform, capture, window
        self.views = settings.views or 1
        # All views of a step run as one batch; those of coupled pictures, one after the other.
        self.together = 1 if objective.coupled else self.views
        single = objective.count == 1 and not objective.coupled
        self.rows = None if single else rows.to(device).repeat(self.together)
        self.optimizer = _optimizer(settings, part)
        self.quick, self.folding = InputGradients(), Folding(model.layout)
        self.autocast = settings.autocast(device, model.dtype)
        self.rescue = Rescue(count, settings.redirect, device)
        self.gates = ClimbedGates(bool(model.derived_layers()))
        self.dips = settings.optimizer == "adam"  # until a pass has shown that the network has none
        self.counter = torch.zeros(1, dtype=torch.long, device=device)
        self.history = torch.full((settings.steps, count), float("nan"), dtype=torch.float32, device=device)
        self.alive = torch.ones(count, dtype=torch.bool, device=device)
        self.stopped = torch.full((count,), -1, dtype=torch.long, device=device)
        self._trace()
        self.found: tuple[Tensor, Tensor, tuple[Tensor, ...]] | None = None

    @torch.no_grad()
    def _trace(self) -> None:
        """Shows the network's path to the folding, on one grey picture: all steps are then computed alike."""
        image = torch.full((1, len(self.model.mean), *self.window), 0.5, device=self.model.device)
        with self.autocast, self.folding:
            self.capture(self.model.normalize(image))

    def phase(self, number: int, always_watch: bool = False) -> Phase:
        """The phase of a step; called once a step.

        Args:
            number: index of the step.
            always_watch: examines the network's gradient in all steps, so that they have one phase.
        """
        early = number < self.settings.redirect
        needed = self.rescue.needed(number)
        return Phase(always_watch or early, needed, early and self.dips, self.part.variant(number))

    def evaluate(self, number: int, phase: Phase) -> None:
        """Computes the scores and gradients of a step.

        Args:
            number: index of the step, for what reads no table on the device.
            phase: of the step.

        Raises:
            BadInput: if the objective does not depend on the picture, or is not one score for each.
        """
        image = self.part()
        if self.part.watching:
            image.register_hook(self.part.watch)
        score = self._score(image, number, phase)
        if not score.requires_grad:
            raise no_gradient(self.objective)
        loss = self.part.energy(image) - score
        gradients = self.optimizer.gradients(loss)
        self.rescue.learn()
        self.found = loss.detach(), score.detach(), gradients

    def _score(self, image: Tensor, number: int, phase: Phase) -> Tensor:
        score = torch.zeros(self.part.count, dtype=torch.float32, device=image.device)
        for first in range(0, self.views, self.together):
            # The host's number is faster to read on a CPU; elsewhere a replayed step knows the device's alone.
            at = (number if image.device.type == "cpu" else self.counter) * self.views + first
            view = self.transform(image, at, self.together)
            entering = self.model.normalize(view)
            if phase.watch:
                self.rescue.watch(entering)
            redirect, lift = self.rescue.redirect(self.together) if phase.redirect else nullcontext(), Lift(phase.lift)
            with self.autocast, self.quick, redirect, lift, self.gates, self.folding:
                seen = self.capture(entering)
            found = scored(self.objective, Activations(seen, view, self.rows))
            lift.inactive = found.detach() <= 0
            self.dips = self.dips and (lift.found > 0 or not phase.lift)
            score = score + found.unflatten(0, (self.together, -1)).sum(0) / self.views
        return score

    @torch.no_grad()
    def move(self, number: int) -> None:
        """Moves the pictures along the gradients that were found, and records their scores.

        Args:
            number: index of the step, for what reads no table on the device.
        """
        assert self.found is not None
        (loss, score, gradients), self.found = self.found, None
        going = self.alive & score.isfinite() & finite(gradients)
        self.stopped.copy_(torch.where(self.alive & ~going, self.counter, self.stopped))
        self.alive.copy_(going)
        self.optimizer.step(self.alive, loss, gradients)
        self.part.project(number)
        self.history.index_copy_(0, self.counter, score[None])
        self.counter += 1

    def fits(self, objective: Objective) -> bool:
        """True if there is room for the targets of an objective of the same form."""
        pairs = zip(self.objective.targets, objective.targets, strict=True)
        return all(len(theirs) <= len(mine) for mine, theirs in pairs)

    @torch.no_grad()
    def give_back(self) -> None:
        """Has the step's own objective hold its own targets again: it may be used elsewhere."""
        for target in self.objective.targets:
            target.take(target)

    @torch.no_grad()
    def take(self, other: Step) -> None:
        """Starts anew with the pictures, draws and targets of another step.

        Args:
            other: of the same form (`inverter.loop.forms.form_of`) and number of pictures.
        """
        mine, theirs = _tensors(self.part), _tensors(other.part)
        for name, tensor in mine.items():
            tensor.copy_(theirs[name])
        self.part.started = True
        if self.rows is not None and other.rows is not None:
            self.rows.copy_(other.rows)
        for target, new in zip(self.objective.targets, other.objective.targets, strict=True):
            target.take(new)
        self.transform.take(other.transform)  # type: ignore[attr-defined]
        self.capture = other.capture
        self.optimizer.reset()
        self.rescue.reset()
        self.counter.zero_()
        self.history.fill_(float("nan"))
        self.alive.fill_(True)
        self.stopped.fill_(-1)


def _tensors(part: Prior) -> dict[str, Tensor]:
    return {**dict(part.named_parameters()), **dict(part.named_buffers())}


def _optimizer(settings: Settings, part: Prior) -> Optimizer:
    rate = settings.learning_rate or part.learning_rate
    if settings.optimizer == "lbfgs":
        return LBFGS(part.parameters(), rate)
    momentum = part.momentum if settings.momentum is None else settings.momentum
    return Adam(part.parameters(), settings.rates(rate), (momentum, 0.99))
