"""Overlapping crops of photographs, as pictures of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from recipes.pictures.inputs import InputPictures
from recipes.pictures.sets import READERS, PictureSet

OVERLAP = 0.2
"""Share of a crop's side that the next one covers as well, as in the authors' code of CRAFT."""


@dataclass(frozen=True)
class Crops:
    """The crops of photographs in a regular grid, each scaled to the size of a photograph (Fel et al. 2023).

    Attributes:
        photographs: the photographs.
        size: (height, width) of a photograph as the network takes it, in pixels.
        side: height of a crop in pixels; its shape is that of the photographs.
    """

    photographs: InputPictures
    size: tuple[int, int]
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of a crop in pixels."""
        return self.side, max(1, round(self.side * self.size[1] / self.size[0]))

    @property
    def corners(self) -> list[tuple[int, int]]:
        """(y, x) of each crop's upper left corner in a photograph."""
        axes = [range(0, full - part + 1, _step(part)) for full, part in zip(self.size, self.shape, strict=True)]
        return [(y, x) for y in axes[0] for x in axes[1]]

    def origin(self, index: int) -> tuple[str, tuple[int, int]]:
        """The photograph of a crop and its corner there."""
        photograph, crop = divmod(index, len(self.corners))
        return list(self.photographs.files)[photograph], self.corners[crop]

    def read(self, index: int) -> Tensor:
        """A crop as it is in the photograph, (C, *shape) in [0, 1]."""
        name, (y, x) = self.origin(index)
        photograph = self.photographs.read([name], self.size)[0]
        return photograph[:, y : y + self.shape[0], x : x + self.shape[1]]

    def __call__(self, index: int, size: tuple[int, int]) -> Tensor:
        """A crop scaled to `size`, for a `PictureSet`."""
        return F.interpolate(self.read(index)[None], size, mode="bilinear", align_corners=False)[0]

    def pictures(self) -> PictureSet:
        """All crops as a set of pictures, photograph by photograph."""
        files = [str(Path(file).resolve()) for file in self.photographs.files.values()]
        names = [f"{file} {self.shape[0]}x{self.shape[1]} {y},{x}" for file in files for y, x in self.corners]
        return PictureSet(names, self, READERS)


def _step(part: int) -> int:
    return max(1, int(part * (1 - OVERLAP)))
