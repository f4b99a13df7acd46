"""The objective on pictures without augmentation: scores of finished pictures, and the choice between starts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter.isolation.forward_errors import FORWARD_ERRORS
from inverter.isolation.switches import recording
from inverter.loading import load_model
from inverter.models import Model
from inverter.settings import Settings
from inverter_errors import BadInput, BadType, InverterError, plural
from objectives.base import Activations, Objective
from priors.base import Prior


@recording()
def evaluate(model: Model | nn.Module | str, objective: Objective, images: Tensor) -> Tensor:
    """The objective on given pictures, without augmentation, in float32.

    Args:
        model: from `load_model`, or what `load_model` takes.
        objective: with one target, or one target for each picture.
        images: (B, 3, H, W) in [0, 1].

    Returns:
        (B,) on the CPU.

    Raises:
        LayerNotFound: for a layer that the network does not have.
        NotFound: for a channel or unit that a layer does not have.
        BadInput: for images of another shape, or of a size that the network cannot process.
    """
    check_objective(objective)
    model = load_model(model)
    if images.ndim != 4:
        raise BadInput(f"evaluate: expected pictures (B, 3, H, W), got shape {tuple(images.shape)}")
    try:
        with torch.no_grad(), model.capture(objective.reads) as capture:
            return measured(model, objective, capture, images.to(model.device), None).cpu()
    except FORWARD_ERRORS as error:
        if not isinstance(error, torch.OutOfMemoryError | InverterError):
            model.shapes(objective.reads, (images.shape[2], images.shape[3]))  # says so if the size is the cause
        raise


def measured(
    model: Model,
    objective: Objective,
    capture: Callable[[Tensor], dict[str, Tensor]],
    image: Tensor,
    rows: Tensor | None,
) -> Tensor:
    """The objective on pictures without augmentation, (B,)."""
    return scored(objective, Activations(capture(model.normalize(image)), image, rows))


def scored(objective: Objective, activations: Activations) -> Tensor:
    """The objective's scores, (B,) in float32.

    Args:
        objective: to be evaluated.
        activations: of a batch of B pictures, which it holds as well.

    Returns:
        Scores, higher is better.

    Raises:
        BadInput: if they are not one number for each picture.
    """
    score, count = objective.score(activations), len(activations.image)
    if not isinstance(score, Tensor) or score.shape != (count,):
        found = f"shape {tuple(score.shape)}" if isinstance(score, Tensor) else type(score).__name__
        raise BadInput(
            f"objective {objective.name} returned {found} for {plural(count, 'picture')}, expected one score for "
            "each, (B,): reduce all dimensions but the first, e.g. by .flatten(1).mean(1)"
        )
    return score.float()


def check_objective(objective: object) -> None:
    """Checks that an objective is one, and warns of one that has its pictures resemble each other.

    Args:
        objective: what somebody gave.

    Raises:
        BadType: if it is not an `Objective`; the error shows how to make one.
    """
    if isinstance(objective, Objective):
        if objective.repulsion < 0:
            warnings.warn(
                f"{objective.name} subtracts diversity, which makes the pictures alike: here a higher score is more "
                "diverse (in Lucent a lower one), so add it, e.g. channel(...) + 100 * diversity(...)",
                stacklevel=4,
            )
        return
    if isinstance(objective, str):
        hint = 'build it with a function of `objectives`, e.g. channel("layer4", 3) or logit(130)'
    elif callable(objective):
        hint = (
            'wrap the function, e.g. Objective("mine", ("layer4",), lambda activations: '
            'activations["layer4"].flatten(1).mean(1)), where the tuple names the layers that it reads'
        )
    else:
        hint = 'e.g. channel("layer4", 3) or logit(130) of `objectives`'
    raise BadType(f"expected an Objective, got {type(objective).__name__} {objective!r:.60}: {hint}")


def no_gradient(objective: Objective) -> BadInput:
    """The error for an objective through which no gradient reaches the pictures, to be raised."""
    return BadInput(
        f"{objective.name} has no gradient with respect to the picture: what it reads does not depend on the picture, "
        "or the network computes it under no_grad, detached, or by a step that has none (argmax, rounding, quantised "
        "layers)"
    )


def shown_size(model: Model, cropped: bool, size: tuple[int, int]) -> tuple[int, int]:
    """The size at which a network classifies or scores finished pictures.

    Args:
        model: the network.
        cropped: True for canvases that were optimised in crops (`Prior.cropped`).
        size: (height, width) of the pictures in pixels.

    Returns:
        `size` itself, at which they were optimised; for a canvas that is larger on both sides, the model's input size.
    """
    larger = size[0] > model.input_size[0] and size[1] > model.input_size[1]
    return model.input_size if cropped and larger else size


def uncropped(model: Model, prior: Prior, image: Tensor) -> Tensor:
    """Finished pictures as the network takes them: a canvas that was optimised in crops is resized to its input size.

    Args:
        model: the network.
        prior: of the pictures.
        image: (B, C, H, W) in [0, 1].

    Returns:
        The image itself, or (B, C, *input_size).
    """
    size = (image.shape[2], image.shape[3])
    shown = shown_size(model, prior.cropped, size)
    if shown == size:
        return image
    return F.interpolate(image, shown, mode="bilinear", antialias=True, align_corners=False)


@torch.no_grad()
def choose_start(
    model: Model,
    objective: Objective,
    prior: Prior,
    rows: Tensor,
    capture: Callable[[Tensor], dict[str, Tensor]],
    generators: Sequence[torch.Generator],
    settings: Settings,
) -> None:
    """Draws `prior.starts` starts of some pictures, and keeps the best of each in the prior.

    Args:
        model: the network.
        objective: that the starts are scored by.
        prior: has its first start already; changed in place.
        rows: (n,) indices of the pictures.
        capture: of the layers that the objective reads.
        generators: one for each of these pictures.
        settings: the network runs in its precision.
    """
    targets = rows.to(model.device) if objective.count > 1 or objective.coupled else None
    kept, best = (
        prior.take(rows).to(model.device),
        torch.full((len(rows),), -torch.inf, dtype=torch.float32, device=model.device),
    )
    rival, everyone = kept, torch.arange(len(rows), device=model.device)
    for drawn in range(prior.starts):
        if drawn:
            rival = kept.take(everyone)
            rival.reset(generators)
        image = rival.draft()
        with settings.autocast(model.device, model.dtype):
            score = measured(model, objective, capture, uncropped(model, rival, image), targets)
        score = score - rival.energy(image)
        better = score > best
        if drawn:  # the first start is kept already
            kept.exchange(better, rival)
        best = torch.where(better, score, best)
    prior.put(rows, kept)
