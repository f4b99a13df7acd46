"""Showing pictures to a network, batch by batch: in this process, or parts of the set in several."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from inverter import Model
from recipes.activations.reducers import Reducer, Rows
from recipes.executors.in_process import InProcess
from recipes.pictures.sets import PictureSet

if TYPE_CHECKING:
    from recipes.executors import Executor, JobProgressCallback

SHARE = 4
"""Batches that a worker looks at in one go: it reads the next one while the network sees one."""


@dataclass(frozen=True)
class BatchRows:
    """What is kept of one batch.

    Attributes:
        stop: index of the first picture after it.
        kept: layer -> rows; empty where no picture could be read.
        skipped: why some could not, by index.
    """

    stop: int
    kept: Mapping[str, Rows]
    skipped: Mapping[int, str]


@dataclass(frozen=True)
class ForwardPass:
    """How a network looks at a set of pictures.

    Batches begin at multiples of `batch`, whoever looks: in other company, activations differ in their last bits.

    Attributes:
        layers: addresses. size: (height, width) of the pictures for the network. batch: pictures in a forward pass.
    """

    pictures: PictureSet
    reducer: Reducer
    layers: Sequence[str]
    size: tuple[int, int]
    batch: int

    def at(self, model: Model, start: int, stop: int) -> Iterator[BatchRows]:
        """What is kept of the pictures from `start` to `stop`."""
        with model.capture(self.layers) as capture, torch.no_grad():
            for part in self.pictures.batches(self.size, self.batch, start, stop):
                kept = {}
                if part.indices:
                    seen = capture(model.normalize(part.images.to(model.device)))
                    kept = {layer: self.reducer.rows(layer, seen[layer], part.indices) for layer in self.layers}
                yield BatchRows(part.stop, kept, part.skipped)

    def __call__(self, model: Model, part: tuple[int, int], on_progress: JobProgressCallback) -> list[BatchRows]:
        """A part of the set, as work for an executor."""
        return list(self.at(model, *part))

    def everywhere(self, executor: Executor, start: int) -> Generator[BatchRows, None, None]:
        """What is kept of the pictures from `start` on, in order, whichever worker sees them."""
        end, step = len(self.pictures), SHARE * self.batch
        if isinstance(executor, InProcess):
            with executor.threaded():
                yield from self.at(executor.model, start, end)
            return
        parts = [(first, min(first + step, end)) for first in range(start, end, step)]
        waiting: dict[int, list[BatchRows]] = {}
        upcoming = 0
        with closing(executor.map(self, parts, _unheard)) as results:
            for index, seen in results:
                waiting[index] = seen
                while upcoming in waiting:
                    yield from waiting.pop(upcoming)
                    upcoming += 1


def _unheard(index: int, share: float) -> None:
    """Progress is told in whole batches."""
