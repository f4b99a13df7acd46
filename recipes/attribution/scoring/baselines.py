"""What counts as nothing: the picture that a picture is compared with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from inverter import Model
from inverter_errors import BadInput
from recipes.options.suggest import nearest

NAMES = ("black", "white", "mean", "blur")
HELP = "what counts as nothing: black, white, mean (the mean colour, the network's zero) or blur"
BLUR = 1 / 16
"""Standard deviation of the blur, as a share of the picture's shorter side."""


def check_baseline(*, baseline: str, **_others: Any) -> None:
    """Raises a `BadInput` for an unknown name, with near ones."""
    if baseline not in NAMES:
        raise BadInput(f"unknown baseline {baseline!r}{nearest(baseline, NAMES)}")


def baseline_image(model: Model, images: Tensor, name: str) -> Tensor:
    """The baseline of each picture (B, 3, H, W), in the same shape.

    Raises:
        BadInput: for an unknown name, with near ones.

    Example:
        >>> from inverter import no_network
        >>> baseline_image(no_network("cpu"), torch.rand(1, 3, 2, 2), "white").unique()
        tensor([1.])
    """
    check_baseline(baseline=name)
    if name == "blur":
        from kornia.filters import gaussian_blur2d

        sigma = BLUR * min(images.shape[2:])
        side = 2 * min(int(3 * sigma), (min(images.shape[2:]) - 1) // 2) + 1
        return gaussian_blur2d(images, (side, side), (sigma, sigma))
    if name == "mean":
        return torch.tensor(model.mean, device=images.device)[:, None, None].expand_as(images).contiguous()
    return torch.full_like(images, {"black": 0.0, "white": 1.0}[name])


BACKGROUND = "pictures to compare with: a picture or a folder of them (default: black, white, the mean colour, blur)"


def check_background(*, background: str, **_others: Any) -> None:
    """Raises a `MissingFile` or `BadInput` for a place without pictures."""
    if background:
        from recipes.pictures.reading import named_pictures

        named_pictures([background])


def background_images(model: Model, images: Tensor, place: str) -> list[Tensor]:
    """What each of the pictures (B, 3, H, W) is compared with in turn, a list of tensors of the same shape.

    Raises:
        BadInput, OSError: for a place without pictures, or pictures that cannot be read.
    """
    if not place:
        return [baseline_image(model, images, name) for name in NAMES]
    from recipes.pictures.reading import fit, named_pictures, read_picture

    size, channels = (images.shape[2], images.shape[3]), images.shape[1]
    found = [fit(read_picture(file, channels), size) for file in named_pictures([place]).values()]
    return [one.to(images.device).expand_as(images) for one in found]
