"""What a callback learns of a running optimisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inverter.notebook import Bar, in_notebook

LONGEST = 60
"""Characters of an objective's name next to a bar, at most."""


@dataclass(frozen=True)
class Progress:
    """How far an optimisation is.

    Attributes:
        step: steps done of the running batch.
        steps: steps of each batch.
        done: pictures finished in earlier batches.
        units: pictures altogether.
        look: returns the running batch's pictures as they are now; `images` calls it.
        batch: how many pictures the running batch has.
        tries: random restarts of each picture, which share the steps evenly.
    """

    step: int
    steps: int
    done: int
    units: int
    look: Callable[[], Tensor] | None = field(default=None, repr=False, compare=False)
    batch: int = 0
    tries: int = 1

    @property
    def images(self) -> Tensor:
        """The pictures of the running batch as they are now, (B, C, H, W) in [0, 1] on the CPU.

        They are copied when this is read, at no cost otherwise. Read it in the callback: afterwards it is too late.
        """
        return torch.empty(0, 0, 0, 0) if self.look is None else self.look()


ProgressCallback = Callable[[Progress], None]
"""Called after every step, on a GPU once the device has done it.

An exception in it (KeyboardInterrupt too) ends the run, and the prior keeps its state."""


def automatic(name: str) -> ProgressCallback | None:
    """A callback that shows a bar in a notebook; None elsewhere.

    Args:
        name: of the objective.
    """
    if not in_notebook():
        return None
    bar, short = Bar(), name if len(name) <= LONGEST else f"{name[:LONGEST]}…"

    def show(progress: Progress) -> None:
        share = (progress.done + progress.batch * progress.step / progress.steps) / progress.units
        count = f"{progress.done}/{progress.units} pictures finished, " if progress.batch < progress.units else ""
        bar.show(f"{short}: {count}step {progress.step}/{progress.steps}", share)

    return show
