"""The geometry of receptive fields: windows of the picture, along both axes.

The recurrence is that of Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks", eq. 1-2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Axis:
    """A receptive field along one axis: that of unit i reaches from pixel i * stride + low to i * stride + high.

    Both ends are included; pixels below 0 are padding. If a unit depends on the full picture, all three are infinite.

    Attributes:
        stride: pixels between the fields of neighbouring units.
        low: first pixel of unit 0.
        high: last pixel of unit 0.
    """

    stride: float
    low: float
    high: float

    @property
    def size(self) -> float:
        """Pixels in the receptive field of one unit."""
        return self.high - self.low + 1

    @property
    def centre(self) -> float:
        """The centre of the field of unit 0, in pixels from the picture's edge: pixel 0 reaches from 0 to 1."""
        return (self.low + self.high + 1) / 2

    def window(self, unit: int, side: int) -> tuple[int, int]:
        """The receptive field of a unit, cut off at the picture's edges.

        Args:
            unit: index of the unit.
            side: of the picture in pixels.

        Returns:
            (first pixel, one past the last).
        """
        if self.stride == math.inf:
            return 0, side
        first, last = int(unit * self.stride + self.low), int(unit * self.stride + self.high)
        return min(max(first, 0), side), min(max(last + 1, 0), side)

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
        """The receptive field after a convolution or pooling, as in Araujo et al. 2019, eq. 1-2."""
        if self.stride == math.inf:  # the full picture stays the full picture
            return self
        reach = (kernel - 1) * dilation - padding
        return Axis(self.stride * stride, self.low - padding * self.stride, self.high + reach * self.stride)

    def shifted(self, units: int, step: int = 1) -> Axis:
        """The receptive field after a slice of the map that starts at `units` and takes every `step`-th unit."""
        if self.stride == math.inf:
            return self
        start = units * self.stride
        return Axis(self.stride * step, self.low + start, self.high + start)


class ReceptiveField(NamedTuple):
    """The receptive field of the units of a layer, along both axes.

    Attributes:
        y: along the height.
        x: along the width.

    Example:
        >>> field = ReceptiveField(Axis(2, -3, 3), Axis(2, -3, 3))  # after a 7x7 convolution, stride 2, padding 3
        >>> field.window(0, 5, (224, 224))
        (0, 7, 4, 14)
    """

    y: Axis
    x: Axis

    @property
    def traced(self) -> bool:
        """False for windows that only represent the places of a layer whose receptive field is unknown."""
        return True

    @property
    def size(self) -> float:
        """The longer side in pixels; `inf` if a unit depends on the full picture."""
        return math.inf if FULL in self else max(self.y.size, self.x.size)

    def __str__(self) -> str:
        """Its side in pixels; HxW where the sides differ; `all` if a unit depends on the full picture."""
        if self.size == math.inf:
            return "all"
        high, wide = self.y.size, self.x.size
        return f"{high:.0f}" if high == wide else f"{high:.0f}x{wide:.0f}"

    def window(self, y: int, x: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The receptive field of the unit at (y, x), cut off at the picture's edges.

        Near the edges it may have a few pixels too many: the network pads its inner maps as well.

        Args:
            y: row of the unit.
            x: column of the unit.
            size: (height, width) of the picture in pixels.

        Returns:
            (top, left, bottom, right) in pixels; bottom and right are excluded.
        """
        (top, bottom), (left, right) = self.y.window(y, size[0]), self.x.window(x, size[1])
        return top, left, bottom, right


class PlaceWindow(ReceptiveField):
    """Windows that represent the places of a layer whose receptive field is unknown, such as the patches of tokens."""

    @property
    def traced(self) -> bool:
        return False


FULL = Axis(math.inf, -math.inf, math.inf)
EVERYTHING = ReceptiveField(FULL, FULL)
