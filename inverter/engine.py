"""The loop: batched gradient ascent on a prior's parameters, for any objective on any network."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from inverter.ascent.adam import Adam
from inverter.ascent.dips import Lift
from inverter.ascent.folding import Folding
from inverter.ascent.input_gradients import InputGradients
from inverter.ascent.lbfgs import LBFGS
from inverter.ascent.optimizer import Optimizer
from inverter.ascent.rescue import Rescue
from inverter.augment import Augment, Augmentation, Transform, as_augment
from inverter.isolation.switches import recording
from inverter.loading import load_model
from inverter.models import Model
from inverter.result import Inversion
from inverter.scoring import check_objective, choose_start, measured, no_gradient, scored, uncropped
from inverter.settings import Settings
from inverter_errors import BadInput, plural
from objectives.base import Activations, Objective
from priors.base import Prior


@dataclass(frozen=True)
class Progress:
    """How far an optimisation is.

    Attributes:
        step: steps done of the running batch.
        steps: steps of each batch.
        done: pictures finished in earlier batches.
        units: pictures altogether.
        look: returns the running batch's pictures as they are now; `images` calls it.
    """

    step: int
    steps: int
    done: int
    units: int
    look: Callable[[], Tensor] | None = field(default=None, repr=False, compare=False)

    @property
    def images(self) -> Tensor:
        """The pictures of the running batch as they are now, (B, C, H, W) in [0, 1] on the CPU.

        They are copied when this is read, at no cost otherwise. Read it in the callback: afterwards it is too late.
        """
        return torch.empty(0, 0, 0, 0) if self.look is None else self.look()


ProgressCallback = Callable[[Progress], None]
"""Called after every step; an exception in it (KeyboardInterrupt too) ends the run, and the prior keeps its state."""


@recording()
def optimize(
    model: Model | nn.Module | str,
    objective: Objective,
    prior: Prior,
    settings: Settings = Settings(),  # noqa: B008 - a frozen value
    augment: Augmentation = "standard",
    progress: ProgressCallback | None = None,
) -> Inversion:
    """Finds the pictures that maximise an objective: argmax E[f(Phi(tau(g(theta))))] - R(g(theta)).

    Args:
        model: from `load_model`, or what `load_model` takes.
        objective: with one target, or one target for each picture of the prior.
        prior: B pictures. It is optimised in place: pass it again to continue from its state, use `from_image` to
            start at an image. A prior that has not started is drawn from the seed.
        settings: steps, learning rate, precision, seed, ...
        augment: `none`, `light`, `standard`, `strong`, `wide`, `tokens`, an `Augment`, or any callable `image -> image`
            (B, 3, H, W) such as a kornia pipeline; such a callable draws from torch's global generator, seeded by
            `settings.seed`.
        progress: called after every step with a `Progress`.

    Returns:
        Pictures, scores and their history.

    Raises:
        LayerNotFound: for a layer that the network does not have, with the nearest addresses.
        NotFound: for a channel or unit that a layer does not have.
        BadInput: if targets and pictures do not match in number, the network cannot take pictures of this size, the
            objective does not depend on the image or is no score for each picture, several tries are set for an
            objective that couples its pictures, or for an unknown augmentation or device.
        BadType: for an objective or augmentation of another type.

    Example:
        >>> from objectives import channel
        >>> from priors import Fourier
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        >>> optimize(net, channel("0", [1, 5]), Fourier(2, size=16), Settings(steps=4)).images.shape
        torch.Size([2, 3, 16, 16])
    """
    check_objective(objective)
    prior.leave_inference_mode()
    model = load_model(model).on(settings.device) if settings.device else load_model(model)
    if settings.tries == 1 or prior.started:
        return _climb(model, objective, prior, settings, augment, progress)
    if objective.coupled:
        raise BadInput(f"{objective.name} couples its pictures: the best of several tries has to be chosen by hand")
    best: Inversion | None = None
    everyone = torch.arange(prior.count, device="cpu")
    blank = prior.take(everyone)  # the prior itself has started after the first try
    for number in range(settings.tries):
        rival = blank.take(everyone)
        report = None if progress is None else partial(_report, progress, number, settings)
        found = _climb(model, objective, rival, settings, augment, report, number)
        if best is None:
            best, better = found, torch.ones(prior.count, dtype=torch.bool, device="cpu")
        else:
            best, better = best.better_of(found)
        rows = better.nonzero().flatten()
        if len(rows):
            prior.put(rows, rival.take(rows))
    assert best is not None  # there is at least one try
    return best


def _report(callback: ProgressCallback, number: int, settings: Settings, progress: Progress) -> None:
    """Reports a step of one of several tries as a step of all of them."""
    step, steps = number * settings.steps + progress.step, settings.tries * settings.steps
    callback(replace(progress, step=step, steps=steps))


def _climb(
    model: Model,
    objective: Objective,
    prior: Prior,
    settings: Settings,
    augment: Augmentation,
    progress: ProgressCallback | None,
    number: int = 0,
) -> Inversion:
    """One try, the `number`-th, of `optimize`."""
    transform, views = as_augment(augment), settings.views
    count = prior.count
    if objective.count not in (1, count):
        raise BadInput(
            f"{objective.name} has {plural(objective.count, 'target')}, but the prior has {plural(count, 'picture')}: "
            f"make it {type(prior).__name__}({objective.count}, ...) or give one target"
        )
    with torch.no_grad():
        _, channels, *size = prior.take(torch.tensor([0], device="cpu"))().shape
    if channels != len(model.mean):
        raise BadInput(
            f"{model.spec} takes pictures of {len(model.mean)} channels and {type(prior).__name__} has {channels}: "
            f"set its image_channels={len(model.mean)}"
        )
    size = (size[0], size[1])
    if prior.cropped and isinstance(transform, Augment) and transform.crop == 1:
        transform = transform.cropped(size, model.size_for())
        views = views or _views(transform.crop)
    settings = replace(settings, views=views or 1)
    model.shapes(objective.reads, _window(transform, size))
    labels = tuple(objective.label(i) for i in range(count))
    seeds = unit_seeds(labels, settings.seed, number)
    batch = count if objective.coupled else settings.batch_size or default_batch(model.device)
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    fresh = not prior.started
    if fresh:
        prior.reset(generators)
    parts, done, started = [], 0, time.perf_counter()
    with model.capture(objective.reads) as capture:
        for rows in torch.arange(count, device="cpu").split(batch):

            def report(step: int, look: Callable[[], Tensor], done: int = done) -> None:
                if progress is not None:
                    progress(Progress(step, settings.steps, done, count, look))

            run = _Batch(model, objective, settings, rows)
            draws = [generators[i] for i in rows.tolist()]
            if fresh and prior.starts > 1:
                choose_start(model, objective, prior, rows, capture, draws, settings)
            parts.append(run.run(prior, size, capture, transform, draws, seeds[rows[0]], report))
            done += len(rows)
    images, scores, history, stopped = (
        torch.cat(part, dim=-1 if i == 2 else 0) for i, part in enumerate(zip(*parts, strict=True))
    )
    return Inversion(
        images=images,
        scores=scores,
        history=history,
        status=tuple("ok" if step < 0 else f"non-finite at step {step}" for step in stopped.tolist()),
        labels=labels,
        settings=settings,
        seconds=(time.perf_counter() - started) / count,
    )


def _pictures(prior: Prior) -> Tensor:
    with torch.no_grad():
        return prior().detach().float().cpu().clone()


def default_batch(device: torch.device) -> int:
    """Pictures optimised together by default: enough to keep the device busy."""
    return 64 if device.type == "cuda" else 8


def unit_seeds(labels: Sequence[str], seed: int, number: int = 0) -> list[int]:
    """Random seeds of the units of a run, independent of batches and order.

    Args:
        labels: of the units; of units with the same label each gets another seed.
        seed: of the run.
        number: index of the try.

    Returns:
        One integer in [0, 2**63) for each unit.
    """
    seen: Counter[str] = Counter()
    seeds = []
    for label in labels:
        text = f"{seed}/{label}/{seen[label]}" + (f"/{number}" if number else "")
        digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
        seeds.append(int.from_bytes(digest) >> 1)
        seen[label] += 1
    return seeds


def _window(transform: Augment | Callable[[Tensor], Tensor], size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the network's input."""
    return transform.window(size) if isinstance(transform, Augment) else size


def _views(crop: float) -> int:
    """How many crops show about half of a canvas."""
    return min(8, max(1, round(0.5 / crop**2)))


@dataclass(frozen=True)
class _Batch:
    """One batch of the pictures of a prior: its `rows`, each with its own target."""

    model: Model
    objective: Objective
    settings: Settings
    rows: Tensor

    def run(
        self,
        prior: Prior,
        size: tuple[int, int],
        capture: Callable[[Tensor], dict[str, Tensor]],
        augment: Augment | Callable[[Tensor], Tensor],
        generators: Sequence[torch.Generator],
        seed: int,
        report: Callable[[int, Callable[[], Tensor]], None],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        device, steps = self.model.device, self.settings.steps
        part = prior.take(self.rows).to(device)
        rows = self.rows.to(device) if self.objective.count > 1 or self.objective.coupled else None
        views = self.settings.views or 1
        transform = self._transform(augment, generators, size, seed)
        # All views of a step run as one batch; those of coupled pictures, one after the other.
        together = 1 if self.objective.coupled else views
        if rows is not None:
            rows = rows.repeat(together)
        optimizer, quick, folding = self._optimizer(part), InputGradients(), Folding(self.model.layout)
        history = torch.full((steps, len(self.rows)), float("nan"), dtype=torch.float32, device=device)
        alive = torch.ones(len(self.rows), dtype=torch.bool, device=device)
        rescue = Rescue(len(self.rows), self.settings.redirect, device)
        stopped = torch.full((len(self.rows),), -1, dtype=torch.long, device=device)
        try:
            for step in range(steps):
                image = part()
                if part.watching:
                    image.register_hook(part.watch)
                redirect = rescue.redirect(step, together)
                score = torch.zeros(len(self.rows), dtype=torch.float32, device=device)
                for first in range(0, views, together):
                    view = transform(image, step * views + first, together)
                    entering = self.model.normalize(view)
                    rescue.watch(step, entering)
                    lift = Lift(step < self.settings.redirect and self.settings.optimizer == "adam")
                    with self.settings.autocast(device, self.model.dtype), quick, redirect, lift, folding:
                        seen = capture(entering)
                    part_of_it = scored(self.objective, Activations(seen, view, rows))
                    lift.inactive = part_of_it.detach() <= 0
                    score = score + part_of_it.unflatten(0, (together, -1)).sum(0) / views
                if not score.requires_grad:
                    raise no_gradient(self.objective)
                optimizer.clear()
                loss = part.energy(image) - score
                loss.sum().backward()
                rescue.learn()
                finite = alive & score.detach().isfinite() & optimizer.finite()
                stopped = torch.where(alive & ~finite, step, stopped)
                alive = finite
                optimizer.step(alive, loss.detach())
                part.project(step)
                history[step] = score.detach()
                report(step + 1, partial(_pictures, part))
        finally:
            optimizer.finish()
            prior.put(self.rows, part)
        with torch.no_grad():
            image = part()
            rows = None if rows is None else rows[: len(self.rows)]
            scores = measured(self.model, self.objective, capture, uncropped(self.model, part, image), rows)
        return image.detach().float().cpu(), scores.cpu(), history.cpu(), stopped.cpu()

    def _optimizer(self, part: Prior) -> Optimizer:
        rate = self.settings.learning_rate or part.learning_rate
        if self.settings.optimizer == "lbfgs":
            return LBFGS(part.parameters(), rate)
        momentum = part.momentum if self.settings.momentum is None else self.settings.momentum
        return Adam(part.parameters(), self.settings.rates(rate), (momentum, 0.99))

    def _transform(
        self,
        augment: Augment | Callable[[Tensor], Tensor],
        generators: Sequence[torch.Generator],
        size: tuple[int, int],
        seed: int,
    ) -> Transform:
        if isinstance(augment, Augment):
            steps = self.settings.steps * (self.settings.views or 1)
            return augment.prepare(generators, size, steps, self.model.device, len(self.model.mean))
        devices = [self.model.device] if self.model.device.type == "cuda" else []

        def transform(image: Tensor, step: int, views: int = 1) -> Tensor:
            shown = []
            for view in range(step, step + views):
                # A user's callable takes no generators: it runs with a seeded global state of its own.
                with torch.random.fork_rng(devices=devices):
                    torch.manual_seed((seed + view) % 2**63)
                    shown.append(augment(image))
            return shown[0] if views == 1 else torch.cat(shown)

        return transform
