"""Recorded steps that are kept for further batches: a gallery of many batches records once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable

import torch

from inverter.loop.recorder import Recorder
from objectives.base import Objective

MOST = 4
"""Recordings that are kept."""


class Graphs:
    """Recordings that are kept for further batches of the same form, as long as the network stays as it is.

    A batch of the same form differs in its targets, its pictures and their random draws alone. It is copied into the
    recorded one; a smaller one is filled up with pictures that nobody sees where that is faster than another recording.
    Each thread has recordings of its own. The latest four are kept: each holds the memory of a step.

    Example:
        >>> from torch import nn
        >>> from inverter import Settings, load_model, optimize
        >>> from objectives import channel
        >>> from priors import Fourier
        >>> model, graphs = load_model(nn.Conv2d(3, 8, 3)), Graphs()
        >>> for first in (0, 4):
        ...     targets = channel("", range(first, first + 4))
        ...     found = optimize(model, targets, Fourier(4, size=16), Settings(steps=2), graphs=graphs)
        >>> found.loop  # on a GPU: graph
        'eager: no CUDA graphs on cpu'
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[Hashable, Recorder]] = deque(maxlen=MOST)

    def find(self, form: Hashable | None, count: int, objective: Objective) -> Recorder | None:
        """A recording that serves a batch; None if a new one is as good.

        Args:
            form: of the batch (see `inverter.loop.forms.form_of`).
            count: pictures in it.
            objective: of the batch. Where it couples its pictures, none can be added.
        """
        key = threading.get_ident(), form
        rivals = [
            kept
            for theirs, kept in self._kept
            if theirs == key and not kept.reason and kept.step.fits(objective)
            if kept.count == count or (kept.count > count and not objective.coupled)
        ]
        best = min(rivals, key=lambda kept: kept.count, default=None)
        if best is None or best.count == count or torch.are_deterministic_algorithms_enabled():
            return best  # with deterministic algorithms, not by the clock
        wasted = (best.seconds or 0.0) * (1 - count / best.count)
        return best if wasted <= best.cost else None

    def keep(self, form: Hashable | None, recorder: Recorder) -> None:
        """Keeps a recording for further batches.

        Args:
            form: of its batch; None keeps it for none.
            recorder: of the batch.
        """
        if form is not None and not recorder.reason:
            self._kept.append(((threading.get_ident(), form), recorder))

    def __len__(self) -> int:
        """How many recordings are kept."""
        return len(self._kept)

    def clear(self) -> None:
        """Gives up all recordings, and the memory that they hold."""
        self._kept.clear()
