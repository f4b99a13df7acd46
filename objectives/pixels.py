"""Pixels: agreement with an image where it is known, independent of any network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from inverter_errors import BadInput, plural
from objectives.base import Activations, Objective
from objectives.targets import Targets


def known_pixels(target: Tensor, mask: Tensor, names: Sequence[str] | None = None) -> Objective:
    """Minus the mean squared error where the picture is known: -|(x - x0) * m|^2 / |m| (Ulyanov et al. 2018).

    It reads the picture itself, no layer, and masked pixels have no influence. The paper's energy is divided by the
    number |m| of known values, so that scores are comparable between pictures and masks of any size.

    Args:
        target: x0, (N, C, H, W) in [0, 1], one for each image, or a single one for all.
        mask: m, (N, 1, H, W), weights >= 0: 1 where the picture is known, 0 where it is missing.
        names: names of the pictures for their labels; by default their indices.

    Returns:
        The objective, with one target for each picture and scores <= 0.

    Raises:
        BadInput: for shapes that do not fit, negative weights, a wrong number of names, or a mask that is zero
            everywhere; when scored, for pictures of another size.
        NotFound: when scored, if the activations hold no image.

    Example:
        >>> import torch
        >>> target, mask = torch.ones(1, 3, 1, 2), torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
        >>> known_pixels(target, mask).score(Activations({}, image=torch.zeros(1, 3, 1, 2)))
        tensor([-1.])
    """
    if target.ndim != 4 or mask.shape != (target.shape[0], 1, *target.shape[2:]):
        raise BadInput(
            "known_pixels: expected targets (N, C, H, W) and masks (N, 1, H, W), "
            f"got shapes {tuple(target.shape)} and {tuple(mask.shape)}"
        )
    names = [str(i) for i in range(len(target))] if names is None else list(names)
    if len(names) != len(target):
        raise BadInput(
            f"known_pixels: got {plural(len(names), 'name')} for {plural(len(target), 'target')}; expected one for each"
        )
    weights = mask.detach().float()
    if not bool((weights >= 0).all()):
        raise BadInput("known_pixels: expected masks of weights >= 0, 1 where the picture is known")
    count = weights.flatten(1).sum(1) * target.shape[1]
    if not bool((count > 0).all()):
        raise BadInput(f"known_pixels: the mask of picture {names[int(count.argmin())]} hides all of it")
    on_target, on_weights = Targets(target.detach().float()), Targets(weights / count.view(-1, 1, 1, 1))

    def score(activations: Activations) -> Tensor:
        image = activations.image
        expected, weight = (activations.pick(on(image.device)) for on in (on_target, on_weights))
        if expected.shape[1:] != image.shape[1:]:
            raise BadInput(
                f"the target has shape {tuple(expected.shape[1:])}, but the pictures have {tuple(image.shape[1:])}"
            )
        return -((image - expected).square() * weight).flatten(1).sum(1)

    labels = tuple(f"known_pixels({name})" for name in names)
    return Objective("known_pixels", (), score, labels, form="known_pixels", targets=(on_target, on_weights))
