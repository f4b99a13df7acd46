"""The films of a batch: how each of its pictures came about, as a video file next to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.outputs.rendering.showing import Showing
from recipes.outputs.rendering.video import write_video
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Film, Model
    from recipes.runner.base import UnitPlan

VIDEO = "video"
"""Kind of the extra file with a unit's film; a unit that plans one is filmed."""
FPS = 12
HELD = 12
"""Times that the last frame is repeated: the finished picture stays for a second."""


def filmed(unit: Unit) -> bool:
    """True if a film of this unit's optimisation is written."""
    return VIDEO in unit.extra_files


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

    def write(self, recipe: UnitPlan, model: Model, units: Sequence[Unit], images: Tensor) -> None:
        """Writes the films of the units that are filmed.

        Args:
            recipe: of the run, whose output folder they go to.
            model: the network, which says how its pictures are shown.
            units: of the batch.
            images: (B, C, H, W), the pictures as they were optimised: the last frames.
        """
        showing = Showing.of(model, recipe.merged)
        for place, (film, row) in self._shots.items():
            frames = film.of(row, images[place])
            path = Path(recipe.out) / units[place].extra_files[VIDEO]
            write_video(path, [*frames, *[frames[-1]] * HELD], FPS, showing)
