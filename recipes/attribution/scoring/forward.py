"""The target as a function, images -> scores, which runs the network only as deep as the target reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor

from inverter import Model
from inverter.ascent.input_gradients import InputGradients
from inverter.batching import pictures_at_once
from inverter.scoring import no_gradient
from inverter_errors import BadInput
from objectives import OUTPUT, Activations, Objective


class Score(Protocol):
    """Images (N, 3, H, W) in [0, 1], and for each image the row (N,) of its target -> scores (N,).

    Without rows, image i is scored by target i. Captum calls it a `forward_func`; `rows` are its
    `additional_forward_args`, which it repeats along with the images.
    """

    def __call__(self, images: Tensor, rows: Tensor | None = None) -> Tensor: ...


@contextmanager
def score_function(model: Model, target: Objective) -> Iterator[Score]:
    """A context that yields the score as a function of images; the network is frozen within it and restored after.

    Args:
        model: the network.
        target: an objective with one target, or with one for each image.

    Yields:
        The function images (N, 3, H, W), rows -> scores (N,). It raises a `BadInput` for images that require a gradient
        where the score has none.

    Example:
        >>> from inverter import load_model
        >>> from objectives import logit
        >>> with score_function(load_model("builtin", device="cpu"), logit(3)) as score:
        ...     score(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2])
    """
    with model.capture(target.reads) as capture:

        def score(images: Tensor, rows: Tensor | None = None) -> Tensor:
            found = target.score(Activations(capture(model.normalize(images)), images, rows)).float()
            if images.requires_grad and torch.is_grad_enabled() and not found.requires_grad:
                raise no_gradient(target)
            return found

        yield score


def know_axes(model: Model, target: Objective, size: tuple[int, int]) -> None:
    """Finds the axes of what a target reads; later, the forward passes that this takes would run hooks of the caller.

    Args:
        model: the network.
        target: the objective.
        size: (height, width) of the images.
    """
    for layer in target.reads:
        model.axes(layer, size)


def select_targets(target: Objective, rows: Tensor) -> Objective:
    """The targets of some images of a batch, rows (n,), as an objective of their own."""
    if target.count == 1:
        return target

    def score(seen: Activations) -> Tensor:
        mine = rows if seen.rows is None else rows[seen.rows.to(rows.device)]
        return target.score(Activations(seen, seen.image, mine))

    return replace(target, score=score, labels=tuple(target.label(row) for row in rows.tolist()))


def target_rows(images: Tensor, copies: int = 1) -> Tensor:
    """The rows of `copies` repeated batches of images, as `Score` takes them: (copies * B,)."""
    return torch.arange(len(images), device=images.device).repeat(copies)


def copies_at_once(model: Model, images: Tensor, gradient: bool = True) -> int:
    """How many copies of a batch of images are processed in one forward pass, and a backward pass with `gradient`."""
    size = (images.shape[2], images.shape[3])
    return pictures_at_once(model, [OUTPUT], size, gradient=gradient, copies=len(images))


def stack_in_groups(items: Iterable[Tensor], count: int) -> Iterator[Tensor]:
    """Stacks up to `count` tensors of one shape at a time: (n, ...)."""
    iterator = iter(items)
    while group := list(islice(iterator, count)):
        yield torch.stack(group)


def noise(seed: int, count: int, images: Tensor) -> Iterator[Tensor]:
    """Yields `count` draws of standard normal noise (3, H, W), the same for all images and in any grouping."""
    generator = torch.Generator("cpu").manual_seed(seed)
    for _ in range(count):
        yield torch.randn(images.shape[1:], generator=generator, dtype=torch.float32).to(images.device)


def check_noise(*, samples: int, noise: float, **_others: Any) -> None:
    """Raises a `BadInput` for fewer than one noisy copy, or negative or infinite noise."""
    if samples < 1 or not 0 <= noise < math.inf:
        raise BadInput(f"expected samples of at least 1 and a finite noise of at least 0, got {samples} and {noise:g}")


def fixed_noise(model: Model, size: tuple[int, int]) -> Tensor:
    """A picture of uniform noise (1, C, height, width), the same each time, for looks at how a network works."""
    generator = torch.Generator("cpu").manual_seed(0)
    noise = torch.rand(1, len(model.mean), *size, generator=generator, dtype=torch.float32, device="cpu")
    return noise.to(model.device)


def noise_level(images: Tensor, share: float) -> Tensor:
    """The standard deviation of each image's noise, a share of its range of values: (B, 1, 1, 1)."""
    return share * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))


def input_gradient(
    score: Score, images: Tensor, rows: Tensor | None = None, rule: AbstractContextManager[object] | None = None
) -> Tensor:
    """The gradient of the score with respect to the images, dS/dx, (N, 3, H, W).

    Args:
        score: images -> scores.
        images: (N, 3, H, W) in [0, 1].
        rows: (N,) of the images' targets; None scores image i by target i.
        rule: a context for the forward pass that changes the gradient of ReLUs (`inverter.ascent.relu_rules`).
    """
    images = images.detach().requires_grad_()
    with torch.enable_grad(), InputGradients(), rule or nullcontext():
        total = score(images, rows).sum()
    return torch.autograd.grad(total, images)[0]
