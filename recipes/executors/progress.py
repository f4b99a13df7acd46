"""The progress of a run, as it is reported to callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RunProgress:
    """The progress of a run. A run may have several parts, one after the other, each with its own counts.

    Attributes:
        done: units finished in this part, including fractions of those in progress.
        units: units to do in this part.
        finished: units that were finished before.
        noun: what is counted, if not units.
        share: fraction of this part's work that is done, in [0, 1], where some units take longer than others; None
            where all are alike.
        part: what this part is, where several runs are one; `share` is then that of all of them.
    """

    done: float
    units: int
    finished: int
    noun: str | None = None
    share: float | None = None
    part: str | None = None


RunProgressCallback = Callable[[RunProgress], None]
"""Called with the progress of a run, repeatedly."""
