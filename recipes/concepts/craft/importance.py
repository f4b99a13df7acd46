"""How much each component has to do with a class in a photograph: total Sobol indices of its amounts (CRAFT)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inverter import Model
from inverter.batching import pictures_at_once
from inverter.isolation.forward_errors import FORWARD_ERRORS
from objectives import OUTPUT, Activations, Objective
from objectives.units import as_map
from recipes.attribution.scoring.forward import know_axes, score_function
from recipes.attribution.scoring.replacing import replaced_activation
from recipes.concepts.craft.sobol import total_indices

Array = np.ndarray[Any, Any]
Continued = Callable[[Tensor], Tensor]
"""The score that follows from activations (N, C, h, w) of a layer, (N,)."""

TOGETHER = 64
"""Activations that go on from a layer at a time, where only one picture runs up to it."""
TOLERANCE = 1e-3
"""Largest difference of the two ways, as a share of the scores' size."""


@dataclass(frozen=True, eq=False)
class Importance:
    """The importance of the components in one photograph.

    Attributes:
        indices: total Sobol index of each component, (K,).
        score: the target's, of the components alone.
        predicted: index of the class with the highest logit, of the components alone.
    """

    indices: Array
    score: float
    predicted: int


@contextmanager
def continued(model: Model, layer: str, target: Objective, image: Tensor, alone: bool) -> Iterator[Continued]:
    """A context with the rest of the network after a layer, as a function of the layer's activation.

    Args:
        model: the network.
        layer: address of a layer with maps or vectors.
        target: an objective with one target.
        image: (1, C, H, W) in [0, 1], which runs up to the layer.
        alone: True runs it once for all activations. A network that mixes what comes before the layer with what comes
            after it by concatenation cannot do so; `runs_alone` finds out.

    Yields:
        The function.
    """
    size, given = (image.shape[2], image.shape[3]), list[Tensor]()
    know_axes(model, target, size)

    def replace(activation: Tensor) -> Tensor:
        return given[-1] if activation.ndim == 4 else given[-1].flatten(1)

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        if alone:
            handle = model.module.register_forward_pre_hook(lambda _module, inputs: (inputs[0][:1], *inputs[1:]))
            stack.callback(handle.remove)
        stack.enter_context(replaced_activation(model, layer, size, replace))
        score = stack.enter_context(score_function(model, target))

        def run(activations: Tensor) -> Tensor:
            given[:] = [activations]
            count = len(activations)
            return score(image.expand(count, -1, -1, -1), torch.zeros(count, dtype=torch.long, device=image.device))

        yield run


def runs_alone(model: Model, layer: str, target: Objective, image: Tensor, activation: Tensor) -> bool:
    """Whether one picture may run up to a layer for several activations that go on from there, with the same scores.

    Args:
        model: the network.
        layer: address.
        target: an objective with one target.
        image: (1, C, H, W) in [0, 1].
        activation: of the image at the layer, (1, C, h, w).
    """
    several, scores = torch.cat([activation, activation / 2, activation * 0]), list[Tensor]()
    try:
        for alone in (False, True):
            with continued(model, layer, target, image, alone) as run:
                scores.append(run(several))
    except FORWARD_ERRORS:
        return False
    slow, fast = scores
    return slow.shape == fast.shape and float((slow - fast).abs().max()) <= TOLERANCE * float(slow.abs().max())


def importance(
    model: Model,
    layer: str,
    target: Objective,
    image: Tensor,
    amounts: Tensor,
    bank: Tensor,
    design: Array,
    alone: bool,
) -> Importance:
    """The total Sobol index of each component for a target in one photograph (Fel et al. 2023, section 3.3).

    The score f(m) is that of the activation (m * U) W, the component's amounts U at all places times its mask.

    Args:
        model: the network.
        layer: address.
        target: an objective with one target.
        image: (1, C, H, W) in [0, 1].
        amounts: U, (K, h, w).
        bank: W, (K, C).
        design: of `masks`.
        alone: as in `continued`.

    Returns:
        The indices, with the score and class of U W.
    """
    together = TOGETHER if alone else pictures_at_once(model, [OUTPUT], (image.shape[2], image.shape[3]))
    device, scores = image.device, list[Tensor]()
    amounts, bank = amounts.to(device), bank.to(device)
    full = torch.einsum("khw,kc->chw", amounts, bank)[None]
    with continued(model, layer, target, image, alone) as run:
        for part in torch.from_numpy(design).split(together):
            masked = part.to(device)[:, :, None, None] * amounts
            scores.append(run(torch.einsum("nkhw,kc->nchw", masked, bank)).cpu())
        score = run(full)
    with continued(model, layer, _PREDICTED, image, alone) as run:
        predicted = run(full)
    return Importance(total_indices(torch.cat(scores).numpy(), len(bank)), float(score), int(predicted))


def _highest(activations: Activations) -> Tensor:
    return as_map(activations[OUTPUT], OUTPUT).mean((2, 3)).argmax(1).float()


_PREDICTED = Objective("the predicted class", (OUTPUT,), _highest)
"""The index of the class with the highest logit."""
