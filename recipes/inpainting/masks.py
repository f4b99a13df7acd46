"""Masks: which pixels of a picture are known (1, white) and which are missing (0, black)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput
from recipes.pictures.reading import read_picture


def read_mask(path: str | Path, size: tuple[int, int]) -> Tensor:
    """A mask from a picture of any mode: pixels that are at least half white are known.

    Args:
        path: of the mask.
        size: (height, width) of the picture that it is for.

    Returns:
        (1, H, W), 1 where the picture is known and 0 where it is missing.

    Raises:
        MissingFile: if there is no such file.
        BadInput: if it cannot be read, has another size, or masks no pixel or all.
    """
    mask = (read_picture(path, channels=1) >= 0.5).float()
    if mask.shape[1:] != size:
        raise BadInput(
            f"mask {path} is of another size: {mask.shape[2]}x{mask.shape[1]} pixels, "
            f"but its picture has {size[1]}x{size[0]} (width x height)"
        )
    return check_mask(mask, f"mask {path}")


def random_mask(size: tuple[int, int], missing: float, seed: int) -> Tensor:
    """A mask in which randomly chosen pixels are missing.

    Args:
        size: (height, width).
        missing: fraction of the pixels, in (0, 1).
        seed: of the random draws.

    Returns:
        (1, H, W), 1 where the picture is known and 0 where it is missing.

    Raises:
        BadInput: if the fraction amounts to no pixel, or to all.

    Example:
        >>> random_mask((4, 8), 0.25, seed=0).sum()
        tensor(24.)
    """
    pixels = size[0] * size[1]
    order = torch.randperm(pixels, generator=torch.Generator("cpu").manual_seed(seed))
    mask = (order >= round(missing * pixels)).float().view(1, *size)
    return check_mask(mask, f"missing {missing} of {size[1]}x{size[0]} pixels")


def check_mask(mask: Tensor, what: str) -> Tensor:
    """The mask itself, if it has both missing and known pixels; `what` names it in the BadInput."""
    if bool(mask.all()):
        raise BadInput(f"{what} masks no pixel; expected some missing (black) and some known (white) ones")
    if not bool(mask.any()):
        raise BadInput(f"{what} masks all pixels; expected some missing (black) and some known (white) ones")
    return mask


def depth(mask: Tensor) -> int:
    """The largest distance from a missing pixel to a known one, in pixels; a diagonal step counts as one.

    Args:
        mask: (1, H, W) of zeros and ones.

    Returns:
        The distance; 0 if no pixel is missing.

    Example:
        >>> mask = torch.ones(1, 9, 9)
        >>> mask[:, 2:7, 2:7] = 0
        >>> depth(mask)
        3
    """
    known, steps = mask[None], 0
    while not bool(known.all()):
        known, steps = F.max_pool2d(known, 3, stride=1, padding=1), steps + 1
    return steps


def scaled(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture (C, H, W) in [0, 1] at `size` (height, width), with antialiasing."""
    if picture.shape[1:] == size:
        return picture
    return F.interpolate(picture[None], size, mode="bilinear", antialias=True, align_corners=False)[0].clamp(0, 1)


def scaled_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask (1, H, W) at `size` (height, width): a pixel is known if all pixels that it is averaged from are known."""
    return (scaled(mask, size) > 1 - 1e-4).float()
