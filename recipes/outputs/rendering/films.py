"""The films of a batch: how each of its pictures came about, as a video file next to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.outputs.rendering.showing import Showing
from recipes.outputs.rendering.video import write_video

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Film

FPS = 12
HELD = 12
"""Times that the last frame is repeated: the finished picture stays for a second."""


class Films:
    """Which film shows each picture of a batch: that of the batch, or of a second attempt at the unit.

    Args:
        film: of the batch; None where no unit is filmed.
        count: pictures in the batch.
    """

    def __init__(self, film: Film | None, count: int) -> None:
        self._shots = {} if film is None else {place: (film, place) for place in range(count)}

    def take(self, place: int, film: Film | None, row: int) -> None:
        """The picture at `place` is now the one at `row` of another film."""
        if film is not None:
            self._shots[place] = film, row

    def write(self, folder: Path, files: Sequence[str], images: Tensor, showing: Showing) -> None:
        """Writes the films.

        Args:
            folder: the output folder.
            files: of the films below it, one for each picture of the batch.
            images: (B, C, H, W), the pictures as they were optimised: the last frames.
            showing: which channels the frames show.
        """
        for place, (film, row) in self._shots.items():
            frames = film.of(row, images[place])
            write_video(folder / files[place], [*frames, *[frames[-1]] * HELD], FPS, showing)
