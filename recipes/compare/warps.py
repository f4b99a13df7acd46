"""Warps of pictures as users write them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inverter_errors import BadInput

HELP = "hflip, vflip, rotate:DEGREES, scale:FACTOR, or none"


@dataclass(frozen=True)
class Warp:
    """A linear warp of pictures about their centre.

    Attributes:
        name: as it was written.
        matrix: from the offset (y, x) of a point of the warped picture to that of its origin, in pixels from the
            centre: two rows.

    Example:
        >>> Warp.parse("hflip")
        Warp(name='hflip', matrix=((1.0, 0.0), (0.0, -1.0)))
    """

    name: str
    matrix: tuple[tuple[float, float], tuple[float, float]]

    @classmethod
    def parse(cls, text: str) -> Warp:
        """Reads a warp.

        Args:
            text: `hflip`, `vflip`, `rotate:DEGREES` (anticlockwise), or `scale:FACTOR` (above 1 enlarges).

        Raises:
            BadInput: for text of another form, an angle of no turn, or a factor that is not from .25 to 4.
        """
        kind, _, number = text.strip().partition(":")
        try:
            value = float(number) if number else math.nan
        except ValueError:
            value = math.nan
        if not number and kind in ("hflip", "vflip"):
            y, x = (1.0, -1.0) if kind == "hflip" else (-1.0, 1.0)
            return cls(kind, ((y, 0.0), (0.0, x)))
        if kind == "rotate" and math.isfinite(value) and value % 360:
            sine, cosine = math.sin(math.radians(value)), math.cos(math.radians(value))
            return cls(f"rotate:{value:g}", ((cosine, sine), (-sine, cosine)))
        if kind == "scale" and 0.25 <= value <= 4 and value != 1:
            return cls(f"scale:{value:g}", ((1 / value, 0.0), (0.0, 1 / value)))
        raise BadInput(f"warp {text!r}: expected {HELP}, with a factor from .25 to 4 other than 1")

    @property
    def file_name(self) -> str:
        """The name as part of a path, and of its array."""
        return self.name.replace(":", "-")
