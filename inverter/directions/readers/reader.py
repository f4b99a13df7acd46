"""What a reader is, and what a user says where a file does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inverter.directions.directions import Directions
from inverter.directions.readers.stored import Stored


@dataclass(frozen=True)
class Said:
    """What the user says, for files that do not have it.

    Attributes:
        layer: address of the layer.
        gate: of the latents.
        k: of the gate "topk".
        threshold: of the gate "jumprelu", one for all latents.
    """

    layer: str = ""
    gate: str | None = None
    k: int | None = None
    threshold: float | None = None

    @property
    def implied(self) -> str | None:
        """The gate that is given, by its name or by its number; None if none is."""
        if self.gate is not None:
            return self.gate
        return "topk" if self.k is not None else "jumprelu" if self.threshold is not None else None


@dataclass(frozen=True)
class Reader:
    """One form of sets of directions.

    Attributes:
        form: its description, for the error that lists the known ones.
        takes: whether a place holds this form.
        read: makes the directions of it.
        takes_value: whether a Python value is of this form.
        read_value: makes the directions of it.
    """

    form: str
    takes: Callable[[Stored], bool] = lambda _: False
    read: Callable[[Stored, Said], Directions] | None = None
    takes_value: Callable[[Any], bool] = lambda _: False
    read_value: Callable[[Any, Said], Directions] | None = None
