"""Patches of natural pictures that belong to a unit, and the part of its own picture that is compared with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import ReceptiveField
from recipes.pictures.reading import read_picture

PART = 0.5
"""Share of the receptive field's side that counts: most of the sensitivity lies in its centre (Luo et al. 2016)."""

Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Patch:
    """A part of a picture file.

    Attributes:
        file: the picture.
        window: (top, left, bottom, right) in pixels; None for all of it.
    """

    file: Path
    window: Window | None = None

    def overlaps(self, other: Patch) -> bool:
        """Whether both show largely the same: parts of one picture that share more than half of the smaller one."""
        if self.file != other.file or self.window is None or other.window is None:
            return self.file == other.file
        (top, left, bottom, right), (top2, left2, bottom2, right2) = self.window, other.window
        shared = max(0, min(bottom, bottom2) - max(top, top2)) * max(0, min(right, right2) - max(left, left2))
        areas = ((bottom - top) * (right - left), (bottom2 - top2) * (right2 - left2))
        return shared > min(areas) / 2


def centre_window(
    known: ReceptiveField | None, at: Sequence[int] | None, size: tuple[int, int], full: Sequence[int] | None = None
) -> Window | None:
    """The central part of the receptive field at a position, inside of the picture.

    Args:
        known: receptive field of the layer's units; None if it is unknown.
        at: (y, x) in the map; None if there is no position.
        size: (height, width) of the picture in pixels.
        full: window of the complete receptive field, for a field that is not traced: its centre is taken.

    Returns:
        The window; None for the complete picture.
    """
    if known is None or at is None or (known.traced and math.isinf(known.size)):
        return None
    spans = []
    for axis, (position, side) in enumerate(zip(at, size, strict=True)):
        line = (known.y, known.x)[axis]
        reach = line.size if known.traced else side
        centre = line.centre + position * line.stride
        width = max(1, round(PART * min(reach, side)))
        first = min(max(round(centre - width / 2), 0), side - width)
        spans.append((first, first + width))
    (top, bottom), (left, right) = spans
    return top, left, bottom, right


def listed_patches(metrics: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What a record lists as natural pictures of its unit: `patches` of a dataset, or `examples` of a cell."""
    return metrics.get("patches") or metrics.get("examples") or ()


def natural_patches(
    metrics: Mapping[str, Any], folder: Path, known: ReceptiveField | None, size: tuple[int, int]
) -> list[Patch]:
    """The natural patches that a record has: `patches` of a dataset, or `examples` of a cell; strongest first.

    Args:
        metrics: of the record.
        folder: to which the files of its patches are relative.
        known: receptive field of the layer's units; None if it is unknown.
        size: (height, width) of the natural pictures in pixels.
    """
    listed = listed_patches(metrics)
    return [Patch(folder / each["picture"], centre_window(known, each.get("at"), size)) for each in listed]


@dataclass
class Pictures:
    """Picture files as a network takes them; each is read once.

    Attributes:
        channels: of the network's input.
    """

    channels: int
    _read: dict[Path, Tensor] = field(default_factory=dict, repr=False)

    def read(self, file: Path) -> Tensor:
        """A picture, (C, H, W) in [0, 1]."""
        if file not in self._read:
            self._read[file] = read_picture(file, self.channels)
        return self._read[file]

    def cut(self, patch: Patch, size: tuple[int, int]) -> Tensor:
        """A patch, scaled to (C, *size) in [0, 1]."""
        image = self.read(patch.file)
        if patch.window is not None:
            top, left, bottom, right = patch.window
            image = image[:, top:bottom, left:right]
        if image.shape[1:] == size:
            return image
        return F.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)[0].clamp(0, 1)

    def stacked(self, files: Sequence[Path], size: tuple[int, int]) -> Tensor:
        """Complete pictures, scaled to (B, C, *size)."""
        return torch.stack([self.cut(Patch(file), size) for file in files])
