"""The loop: batched gradient ascent on a prior's parameters, for any objective on any network."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from inverter.augment import Augment, Augmentation, as_augment
from inverter.isolation.switches import recording
from inverter.loading import load_model
from inverter.loop.batches import Batches
from inverter.loop.graphs import Graphs
from inverter.loop.progress import Progress, ProgressCallback, automatic
from inverter.models import Model
from inverter.result import Inversion
from inverter.scoring import check_objective, choose_start
from inverter.settings import Settings
from inverter_errors import BadInput, plural
from objectives.base import Objective
from priors.base import Prior


@recording()
def optimize(
    model: Model | nn.Module | str,
    objective: Objective,
    prior: Prior,
    settings: Settings = Settings(),  # noqa: B008 - a frozen value
    augment: Augmentation = "standard",
    progress: ProgressCallback | Literal["auto"] | None = "auto",
    graphs: Graphs | None = None,
) -> Inversion:
    """Finds the pictures that maximise an objective: argmax E[f(Phi(tau(g(theta))))] - R(g(theta)).

    Args:
        model: from `load_model`, or what `load_model` takes.
        objective: with one target, or one target for each picture of the prior.
        prior: B pictures. It is optimised in place: pass it again to continue from its state, use `from_image` to
            start at an image. A prior that has not started is drawn from the seed.
        settings: steps, learning rate, precision, seed, ...
        augment: `none`, `light`, `standard`, `strong`, `wide`, `wider`, `tokens`, an `Augment`, or any callable
            `image -> image` (B, 3, H, W) such as a kornia pipeline; such a callable draws from torch's global
            generator, seeded by `settings.seed`.
        progress: called after every step with a `Progress`; "auto" shows a bar in a notebook and is silent elsewhere;
            None is silent.
        graphs: CUDA graphs to be used again in further calls, as long as the network stays as it is; None keeps them
            for the batches of this call.

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
    graphs = Graphs() if graphs is None else graphs
    progress = automatic(objective.name) if progress == "auto" else progress
    model = load_model(model).on(settings.device) if settings.device else load_model(model)
    if settings.tries == 1 or prior.started:
        return _climb(model, objective, prior, settings, augment, progress, graphs)
    if objective.coupled:
        raise BadInput(f"{objective.name} couples its pictures: the best of several tries has to be chosen by hand")
    best: Inversion | None = None
    everyone = torch.arange(prior.count, device="cpu")
    blank = prior.take(everyone)  # the prior itself has started after the first try
    for number in range(settings.tries):
        rival = blank.take(everyone)
        report = None if progress is None else partial(_report, progress, number, settings)
        found = _climb(model, objective, rival, settings, augment, report, graphs, number)
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
    callback(replace(progress, step=step, steps=steps, tries=settings.tries))


def _climb(
    model: Model,
    objective: Objective,
    prior: Prior,
    settings: Settings,
    augment: Augmentation,
    progress: ProgressCallback | None,
    graphs: Graphs,
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
    fresh, started = not prior.started, time.perf_counter()
    draws = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    if fresh:
        prior.reset(draws)
    batches = Batches(model, objective, prior, settings, transform, size, graphs)
    with model.capture(objective.reads) as capture:
        for rows in torch.arange(count, device="cpu").split(batch):
            mine = [draws[i] for i in rows.tolist()]
            if fresh and prior.starts > 1:
                choose_start(model, objective, prior, rows, capture, mine, settings)
            batches.run(rows, capture, mine, seeds[rows[0]], progress)
    return batches.result(labels, (time.perf_counter() - started) / count)


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
