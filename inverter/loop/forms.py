"""Which optimisations can be recorded, and which batches can use the same recording."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import torch
from torch import Tensor, nn

from inverter.augment import Augment
from inverter.loop.recorder import WARM
from inverter.models import Model
from inverter.settings import Settings
from objectives.base import Activations, Objective
from priors.base import Prior
from priors.frozen import Frozen, Shared


def reason_against(
    model: Model, objective: Objective, prior: Prior, settings: Settings, augment: Augment | Callable[[Tensor], Tensor]
) -> str:
    """Why a step of an optimisation cannot be recorded; "" if it can.

    Args:
        model: the network, without hooks of ours.
        objective: to be maximised.
        prior: of the pictures.
        settings: of the run.
        augment: of the pictures.
    """
    if settings.graph == "off":
        return "graph='off'"
    if model.device.type != "cuda":
        return f"no CUDA graphs on {model.device.type}"
    if not isinstance(augment, Augment):
        return "the augmentation is a function, which may draw on the host"
    if objective.form is None:
        return f"{objective.name} does not say that it can be recorded (Objective.form)"
    if not prior.recordable:
        return f"{type(prior).__name__} does not say that it can be recorded (Prior.recordable)"
    if any(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks for part in model.module.modules()):
        return "the network has hooks, which may need the host"
    return "" if settings.steps > WARM else f"no more than {WARM} steps"


def form_of(
    model: Model, objective: Objective, prior: Prior, settings: Settings, augment: object, size: tuple[int, int]
) -> Hashable | None:
    """What batches that can use the same recording have in common; None if that is not known.

    Args:
        model: the network.
        objective: of the batch.
        prior: of its pictures.
        settings: of the run.
        augment: an `Augment`.
        size: (height, width) of the pictures in pixels.
    """
    look = _form_of_prior(prior)
    if objective.form is None or look is None or not isinstance(augment, Augment):
        return None
    # Two parts of an objective that share their targets are no two parts with targets of their own.
    targets = tuple((target.form, objective.targets.index(target)) for target in objective.targets)
    schedule = (settings.steps, settings.learning_rate, settings.optimizer, settings.momentum, settings.schedule)
    rest = (settings.warmup, settings.views, settings.redirect, settings.precision)
    network = (id(model.module), model.layout, model.mean, model.std, *model.directions.items())
    return (network, objective.form, targets, objective.coupled, look, schedule, rest, augment, size)


def _form_of_prior(prior: Prior) -> Hashable | None:
    own = vars(prior).keys() - vars(nn.Module()).keys() - {"count", "started"}
    values = {name: _plain(vars(prior)[name]) for name in sorted(own)}
    if None in values.values() or any(isinstance(part, Prior) for part in prior.children()):
        return None
    tensors = [*prior.named_parameters(), *prior.named_buffers()]
    shapes = tuple((name, tensor.shape[1:], tensor.dtype) for name, tensor in tensors)
    return type(prior), tuple(values.items()), shapes


def _plain(value: object) -> Hashable | None:
    """A value that can be compared with that of another prior; None if it cannot."""
    if value is None or isinstance(value, int | float | str | bool | torch.dtype):
        return (value,)
    if isinstance(value, dict):
        return _plain([part for pair in value.items() for part in pair])
    if isinstance(value, tuple | list):
        parts = tuple(map(_plain, value))
        return None if None in parts else parts
    return id(value) if isinstance(value, Frozen | Shared) else None


def check_on_host(objective: Objective, shapes: Mapping[str, Sequence[int]], image: tuple[int, ...]) -> bool:
    """Has an objective check its targets before the device reads them: there, a wrong index would end the process.

    Args:
        objective: to be checked; it is scored on tensors without values.
        shapes: of the layers that it reads, (1, ...) for one picture.
        image: (B, C, H, W) of the pictures.

    Returns:
        True if it could be checked.
    """
    seen = {layer: torch.empty(image[0], *shape[1:], device="meta") for layer, shape in shapes.items()}
    rows = torch.zeros(image[0], dtype=torch.long, device="meta") if objective.count > 1 or objective.coupled else None
    try:
        objective.score(Activations(seen, torch.empty(image, device="meta"), rows))
    except NotImplementedError:  # an operation that needs values: the batch is recorded anew, from a first eager step
        return False
    return True
