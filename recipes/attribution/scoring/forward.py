"""The question as a function: pictures -> scores, no deeper into the network than the target reads."""

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
from inverter.engine import default_batch
from inverter.input_gradients import InputGradients
from inverter_errors import BadInput
from objectives import Activations, Objective


class Score(Protocol):
    """Pictures (N, 3, H, W) in [0, 1], and for each the row (N,) of its target -> scores (N,).

    Without rows, picture i pursues target i. It is what Captum calls a `forward_func`; `rows` is its
    `additional_forward_args`, which it repeats along with the pictures.
    """

    def __call__(self, images: Tensor, rows: Tensor | None = None) -> Tensor: ...


@contextmanager
def score_function(model: Model, target: Objective) -> Iterator[Score]:
    """A context in which pictures are scored. The network is frozen meanwhile, and afterwards what it was.

    Example:
        >>> from inverter import load_model
        >>> from objectives import logit
        >>> with score_function(load_model("builtin", device="cpu"), logit(3)) as score:
        ...     score(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2])
    """
    with model.capture(target.reads) as capture:

        def score(images: Tensor, rows: Tensor | None = None) -> Tensor:
            return target.score(Activations(capture(model.normalize(images)), images, rows)).float()

        yield score


def select_targets(target: Objective, rows: Tensor) -> Objective:
    """The target of only these pictures (n,) of a batch, as an objective of its own."""
    if target.count == 1:
        return target

    def score(seen: Activations) -> Tensor:
        mine = rows if seen.rows is None else rows[seen.rows.to(rows.device)]
        return target.score(Activations(seen, seen.image, mine))

    return replace(target, score=score, labels=tuple(target.label(row) for row in rows.tolist()))


def target_rows(images: Tensor, copies: int = 1) -> Tensor:
    """The rows of `copies` whole batches of pictures one after the other, as `Score` takes them: (copies * B,)."""
    return torch.arange(len(images), device=images.device).repeat(copies)


def copies_at_once(model: Model, images: Tensor) -> int:
    """How many copies of a batch of pictures may be worked on at once."""
    return max(1, default_batch(model.device) // len(images))


def stack_in_groups(items: Iterable[Tensor], count: int) -> Iterator[Tensor]:
    """Tensors of one shape, up to `count` of them stacked: (n, ...)."""
    iterator = iter(items)
    while group := list(islice(iterator, count)):
        yield torch.stack(group)


def noise(seed: int, count: int, images: Tensor) -> Iterator[Tensor]:
    """`count` times standard normal noise for a picture, (3, H, W): the same for all pictures and in any grouping."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.randn(images.shape[1:], generator=generator).to(images.device)


def check_noise(*, samples: int, noise: float, **_others: Any) -> None:
    """Raises a `BadInput` for fewer than one noisy copy, or noise below 0 or without end."""
    if samples < 1 or not 0 <= noise < math.inf:
        raise BadInput(f"expected samples of at least 1 and a finite noise of at least 0, got {samples} and {noise:g}")


def noise_level(images: Tensor, share: float) -> Tensor:
    """A share of each picture's range of values, (B, 1, 1, 1): the standard deviation of its noise."""
    return share * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))


def input_gradient(
    score: Score, images: Tensor, rows: Tensor | None = None, rule: AbstractContextManager[object] | None = None
) -> Tensor:
    """d score / d pictures, (N, 3, H, W).

    Args:
        rule: a context for the pass: another rule for the gradient of ReLUs (`inverter.relu_rules`).
    """
    images = images.detach().requires_grad_()
    with torch.enable_grad(), InputGradients(), rule or nullcontext():
        total = score(images, rows).sum()
    return torch.autograd.grad(total, images)[0]
