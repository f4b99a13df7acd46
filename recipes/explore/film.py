"""The frames of a picture's optimisation: as many as memory allows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

MOST, PICTURES = 48, 4
"""Frames of a picture, and pictures of a run, at most."""
SIDE, QUALITY = 256, 88
"""Longer side in pixels, and JPEG quality, of a frame in memory."""


class Frames:
    """The frames of a few pictures: of a long optimisation every second one, every fourth one, and so on.

    Args:
        file: of the only picture whose frames are kept (default: the first pictures of a run).
    """

    def __init__(self, file: str | None = None) -> None:
        self._file = file
        self._frames: dict[str, list[bytes]] = {}
        self._stride, self._seen = 1, 0

    def due(self) -> bool:
        """Whether the next step is a frame; called once a step."""
        self._seen += 1
        return (self._seen - 1) % self._stride == 0

    def add(self, pictures: Mapping[str, Tensor]) -> None:
        """Adds a frame of each picture.

        Args:
            pictures: file -> (C, H, W) in [0, 1], as it is shown.
        """
        from inverter.result import to_pil

        for file, image in pictures.items():
            if self._file not in (None, file) or (file not in self._frames and len(self._frames) >= PICTURES):
                continue
            shown, buffer = to_pil(image).convert("RGB"), io.BytesIO()
            shown.thumbnail((SIDE, SIDE))
            shown.save(buffer, "JPEG", quality=QUALITY)
            self._frames.setdefault(file, []).append(buffer.getvalue())
        if max(map(len, self._frames.values()), default=0) > MOST:
            self._frames = {file: frames[::2] for file, frames in self._frames.items()}
            self._stride *= 2

    def of(self, file: str) -> list[Tensor]:
        """The frames of a picture, each (3, H, W) in [0, 1]."""
        from recipes.pictures.arrays import as_unit

        pictures = (Image.open(io.BytesIO(frame)) for frame in self._frames.get(file, ()))
        return [as_unit(np.asarray(picture).transpose(2, 0, 1)) for picture in pictures]

    def clear(self) -> None:
        """Forgets all frames."""
        self._frames = {}
