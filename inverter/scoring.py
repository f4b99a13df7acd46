"""What a network says of pictures as they are: the score of finished ones, and of starts to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter.loading import load_model
from inverter.models import Model
from inverter.settings import Settings
from objectives.base import Activations, Objective
from priors.base import Prior


def evaluate(model: Model | nn.Module | str, objective: Objective, images: Tensor) -> Tensor:
    """The objective on given pictures (B, 3, H, W) in [0, 1], without augmentation, in float32, as (B,) on the CPU."""
    model = load_model(model)
    with torch.no_grad(), model.capture(objective.reads) as capture:
        return measured(model, objective, capture, images.to(model.device), None).cpu()


def measured(
    model: Model,
    objective: Objective,
    capture: Callable[[Tensor], dict[str, Tensor]],
    image: Tensor,
    rows: Tensor | None,
) -> Tensor:
    """The objective on pictures as they are, (B,)."""
    return objective.score(Activations(capture(model.normalize(image)), image, rows)).float()


def whole(model: Model, prior: Prior, image: Tensor) -> Tensor:
    """What the network is shown of finished pictures (B, C, H, W): a canvas that it saw in crops, at its own size."""
    if not prior.cropped or image.shape[2] <= model.input_size[0] or image.shape[3] <= model.input_size[1]:
        return image
    return F.interpolate(image, model.input_size, mode="bilinear", antialias=True, align_corners=False)


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
    """Draws as many starts of the pictures `rows` (n,) as the prior wants, and keeps the best of each, in place.

    Args:
        generators: one for each of these pictures; the first start is there already.
    """
    targets = rows.to(model.device) if objective.count > 1 or objective.coupled else None
    kept, best = prior.take(rows).to(model.device), torch.full((len(rows),), -torch.inf, device=model.device)
    rival, everyone = kept, torch.arange(len(rows), device=model.device)
    for drawn in range(prior.starts):
        if drawn:
            rival = kept.take(everyone)
            rival.reset(generators)
        image = rival.draft()
        with settings.autocast(model.device):
            score = measured(model, objective, capture, whole(model, rival, image), targets)
        score = score - rival.energy(image)
        better = score > best
        if drawn:  # the first start is kept already
            kept.exchange(better, rival)
        best = torch.where(better, score, best)
    prior.put(rows, kept)
