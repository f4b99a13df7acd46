"""Forward passes over a set of pictures, batch by batch: in this process, or in parts in several."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from inverter import Model
from inverter.devices import sent
from recipes.activations.reducers import Reducer, Rows
from recipes.executors.in_process import InProcess
from recipes.pictures.sets import PictureSet

if TYPE_CHECKING:
    from recipes.executors import Executor, JobProgressCallback

SHARE = 4
"""Batches in one job of a worker: it reads the next batch while the network computes."""


@dataclass(frozen=True)
class BatchRows:
    """The rows of one batch.

    Attributes:
        stop: index of the first picture after the batch.
        kept: layer -> rows; empty if no picture of the batch could be read.
        skipped: index of a picture -> why it could not be read.
    """

    stop: int
    kept: Mapping[str, Rows]
    skipped: Mapping[int, str]


@dataclass(frozen=True)
class ForwardPass:
    """A forward pass over a set of pictures, reduced to rows.

    Batches begin at multiples of `batch`, whichever worker computes them: in another batch, a picture's activations
    differ in their last bits.

    Attributes:
        pictures: the set.
        reducer: turns activations into rows.
        layers: addresses.
        size: (height, width) of the network's input.
        batch: pictures per forward pass.
    """

    pictures: PictureSet
    reducer: Reducer
    layers: Sequence[str]
    size: tuple[int, int]
    batch: int

    def at(self, model: Model, start: int, stop: int) -> Iterator[BatchRows]:
        """The rows of the pictures from `start` to `stop`, a batch at a time."""
        with model.capture(self.layers) as capture, torch.no_grad():
            for part in self.pictures.batches(self.size, self.batch, start, stop):
                kept = {}
                if part.indices:
                    found = capture(model.normalize(sent(part.images, model.device)))
                    kept = {layer: self.reducer.rows(layer, found[layer], part.indices) for layer in self.layers}
                yield BatchRows(part.stop, kept, part.skipped)

    def __call__(self, model: Model, part: tuple[int, int], on_progress: JobProgressCallback) -> list[BatchRows]:
        """A part of the set, as work for an executor."""
        return list(self.at(model, *part))

    def run(self, executor: Executor, start: int) -> Generator[BatchRows, None, None]:
        """The rows of the pictures from `start` on, in order, whichever worker computes them."""
        end, step = len(self.pictures), SHARE * self.batch
        if isinstance(executor, InProcess):
            with executor.threaded():
                yield from self.at(executor.model, start, end)
            return
        parts = [(first, min(first + step, end)) for first in range(start, end, step)]
        waiting: dict[int, list[BatchRows]] = {}
        upcoming = 0
        with closing(executor.map(self, parts, _ignore)) as results:
            for index, found in results:
                waiting[index] = found
                while upcoming in waiting:
                    yield from waiting.pop(upcoming)
                    upcoming += 1


def _ignore(index: int, share: float) -> None:
    """Progress is reported in complete batches."""
