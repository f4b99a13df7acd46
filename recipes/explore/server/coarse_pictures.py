"""Pictures as pages see them while they are made."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from recipes.explore.server.events import Events
    from recipes.outputs.rendering.showing import Showing
    from recipes.runner.units import Unit

SIDE, QUALITY = 160, 70
"""Longer side in pixels, and JPEG quality, of a picture of the grid."""


class CoarsePictures:
    """Sends the pictures of a batch after 2, 4, 8, ... steps to the pages that show them.

    Args:
        events: of the pages.
        showing: how pictures of the network are shown.
    """

    def __init__(self, events: Events, showing: Showing) -> None:
        self._events, self._showing = events, showing

    def __call__(
        self,
        pages: Mapping[str, Sequence[int]],
        units: Sequence[Unit],
        step: int,
        steps: int,
        look: Callable[[], Tensor],
    ) -> None:
        """Sends them, if it is time.

        Args:
            pages: the pages -> the places of the units that they show.
            units: of the batch.
            step: that has been made.
            steps: in all.
            look: returns the pictures of the batch as they are.
        """
        if step < 2 or step == steps or step & (step - 1) or not pages:
            return
        pictures = look()
        places = {place for shown in pages.values() for place in shown}
        sources = {place: as_jpeg(self._showing.picture(pictures[place]), SIDE, QUALITY) for place in places}
        for page, shown in pages.items():
            for place in shown:
                about = {"layer": units[place].layer, "channel": units[place].channel, "step": step, "steps": steps}
                self._events.send(page, "coarse", {**about, "src": sources[place]})


def as_jpeg(image: Tensor, side: int, quality: int) -> str:
    """A picture as a `data:` URL, small enough to be sent while it is made.

    Args:
        image: (C, H, W) in [0, 1].
        side: pixels of the longer side, at most.
        quality: of the JPEG, from 1 to 95.
    """
    from inverter.result import to_pil

    shown = to_pil(image).convert("RGB")
    shown.thumbnail((side, side))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
