"""Masks: which pixels of a picture are known (1, white) and which are missing (0, black)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput
from recipes.pictures.reading import read_picture


def read_mask(path: str | Path, size: tuple[int, int]) -> Tensor:
    """A mask (1, H, W) of zeros and ones from a picture of any mode: what is at least half white is known.

    Args:
        size: (height, width) of the picture that it is for.

    Raises:
        MissingFile, BadInput: if it cannot be read, has another size, or hides nothing or everything.
    """
    mask = (read_picture(path, channels=1) >= 0.5).float()
    if mask.shape[1:] != size:
        raise BadInput(
            f"mask {path} is of another size: {mask.shape[2]}x{mask.shape[1]} pixels, "
            f"but its picture has {size[1]}x{size[0]} (width x height)"
        )
    return check_mask(mask, f"mask {path}")


def random_mask(size: tuple[int, int], missing: float, seed: int) -> Tensor:
    """A mask (1, H, W) in which that share of the pixels is missing, strewn at random.

    Example:
        >>> random_mask((4, 8), 0.25, seed=0).sum()
        tensor(24.)
    """
    pixels = size[0] * size[1]
    strewn = torch.randperm(pixels, generator=torch.Generator("cpu").manual_seed(seed))
    mask = (strewn >= round(missing * pixels)).float().view(1, *size)
    return check_mask(mask, f"missing {missing} of {size[1]}x{size[0]} pixels")


def check_mask(mask: Tensor, what: str) -> Tensor:
    """The mask itself, if it leaves both something to restore and something to restore it from."""
    if bool(mask.all()):
        raise BadInput(f"{what} hides nothing: black is missing, white is known")
    if not bool(mask.any()):
        raise BadInput(f"{what} hides everything: black is missing, white is known")
    return mask


def depth(mask: Tensor) -> int:
    """How many pixels it is at most from what a mask (1, H, W) hides to what is known, diagonals counting as one.

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
    """A mask at another size: a pixel is known if all that it is made of is."""
    return (scaled(mask, size) > 1 - 1e-4).float()
