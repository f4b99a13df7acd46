"""What picture files show of pictures with any number of channels, and the arrays that keep all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inverter.input_values import UNIT

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model


@dataclass(frozen=True)
class Showing:
    """How pictures (C, H, W) in [0, 1] are shown, and kept; as it stands, as they are.

    Attributes:
        channels: that are shown, in order: three as red, green and blue, one as grey; () for all.
        value_range: (low, high), the values in arrays that 0 and 1 stand for.
        merged: True for pictures that must stay one tile (icons, a photo with a map over it): channels that are no
            colours are shown as their mean, not side by side.
    """

    channels: tuple[int, ...] = ()
    value_range: tuple[float, float] = UNIT
    merged: bool = False

    @classmethod
    def of(cls, model: Model, merged: bool = False) -> Showing:
        """How a network's pictures are shown.

        Args:
            model: the network.
            merged: as the attribute.
        """
        return cls(model.show_channels, model.value_range, merged)

    def picture(self, image: Tensor, alpha: bool = False) -> Tensor:
        """What a picture file shows.

        Args:
            image: (C, H, W).
            alpha: True if the last channel is opacity, which stays the last one.

        Returns:
            The chosen channels, or with `merged` one or three.
        """
        import torch

        from recipes.outputs.rendering.colormap import visible

        colours, opacity = (image[:-1], image[-1:]) if alpha else (image, image[:0])
        shown = colours[list(self.channels)] if self.channels else colours
        return torch.cat([visible(shown) if self.merged else shown, opacity])

    def array(self, image: Tensor, alpha: bool = False) -> Tensor | None:
        """All channels as values, or None if the picture file has them as they are.

        Args:
            image: (C, H, W).
            alpha: True if the last channel is opacity, which is left out.
        """
        from inverter.input_values import to_values

        colours = image[:-1] if alpha else image
        if len(colours) in (1, 3) and not self.channels and self.value_range == UNIT:
            return None
        return to_values(colours, self.value_range)
