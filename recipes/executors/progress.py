"""How far a run is, as it tells those who watch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: units finished (with the fraction of those under way), of all that it has to do.

    A run may have several parts, one after the other; `noun` says what is counted where that is no unit.
    """

    done: float
    units: int
    finished: int
    noun: str | None = None


RunProgressCallback = Callable[[RunProgress], None]
"""Called as the work goes on."""
