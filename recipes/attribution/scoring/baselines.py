"""Baselines: the reference images that an image is compared with."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from inverter import Model
from inverter_errors import BadInput
from recipes.options.suggest import nearest

Baseline = Literal["black", "white", "mean", "blur"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
BASELINE_HELP = "reference image: black, white, mean (the mean colour, zero after normalisation) or blur"
BLUR = 1 / 16
"""Standard deviation of the blur, as a share of the image's shorter side."""


def check_baseline(*, baseline: str, **_others: Any) -> None:
    """Raises a `BadInput` for an unknown name; it suggests similar ones."""
    if baseline not in BASELINES:
        raise BadInput(f"unknown baseline {baseline!r}{nearest(baseline, BASELINES)}")


def baseline_image(model: Model, images: Tensor, name: Baseline) -> Tensor:
    """The baseline x' of each image.

    Args:
        model: the network, whose normalisation defines the mean colour.
        images: (B, 3, H, W) in [0, 1].
        name: kind of baseline.

    Returns:
        (B, 3, H, W) in [0, 1].

    Raises:
        BadInput: for an unknown name; it suggests similar ones.

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
        mean = torch.tensor(model.mean, dtype=torch.float32, device=images.device)
        return mean[:, None, None].expand_as(images).contiguous()
    return torch.full_like(images, {"black": 0.0, "white": 1.0}[name])


BACKGROUND_HELP = "reference images: a file or a folder (default: black, white, the mean colour and a blurred copy)"


def check_background(*, background: str, **_others: Any) -> None:
    """Raises a `MissingFile` or `BadInput` for a path without images."""
    if background:
        from recipes.pictures.reading import named_pictures

        named_pictures([background])


def background_images(model: Model, images: Tensor, path: str) -> list[Tensor]:
    """The reference images that all images are compared with in turn.

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        path: an image file or a folder; "" takes all `BASELINES`.

    Returns:
        Tensors (B, 3, H, W), one for each reference.

    Raises:
        BadInput: for a folder without images, or a file that is no image.
        OSError: for a path that does not exist or cannot be read.
    """
    if not path:
        return [baseline_image(model, images, name) for name in BASELINES]
    from recipes.pictures.reading import fit, named_pictures, read_picture

    size, channels = (images.shape[2], images.shape[3]), images.shape[1]
    found = [fit(read_picture(file, channels), size) for file in named_pictures([path]).values()]
    return [one.to(images.device).expand_as(images) for one in found]
