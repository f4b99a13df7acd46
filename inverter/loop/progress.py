"""What a callback learns of a running optimisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Progress:
    """How far an optimisation is.

    Attributes:
        step: steps done of the running batch.
        steps: steps of each batch.
        done: pictures finished in earlier batches.
        units: pictures altogether.
        look: returns the running batch's pictures as they are now; `images` calls it.
        tries: random restarts of each picture, which share the steps evenly.
    """

    step: int
    steps: int
    done: int
    units: int
    look: Callable[[], Tensor] | None = field(default=None, repr=False, compare=False)
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
