"""An endless stream of labelled images for training, drawn in parallel by a worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tools.bundled.world import CLASSES, draw, numbers


class Chunks(Dataset[tuple[Tensor, Tensor]]):
    """Chunk i: `per_class` images of every class as bytes (N,3,S,S), shuffled, with labels: a function of seed and i.

    Drawing class by class is fast, so a chunk is drawn at once and split into batches afterwards.
    """

    def __init__(
        self, seed: int, count: int, per_class: int, plain: int, size_of: Callable[[int], int], classes: int
    ) -> None:
        self.seed, self.count, self.per_class, self.plain = seed, count, per_class, plain
        self.size_of, self.classes = size_of, classes

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        if not 0 <= i < self.count:
            raise IndexError(i)
        rounds = range(i * self.per_class, (i + 1) * self.per_class)
        u = torch.cat([numbers(self.seed, k * len(CLASSES), self.classes) for k in rounds])
        label, size = torch.arange(self.classes).repeat(self.per_class), self.size_of(i)
        full = (self.per_class - self.plain) * self.classes
        with torch.inference_mode():
            parts = [draw(label[:full], u[:full], size), draw(label[full:], u[full:], size, clutter=0.0)]
            image = (torch.cat(parts) * 255).round().byte()
        order = torch.randperm(len(label), generator=torch.Generator().manual_seed(self.seed * 1000003 + i))
        return image[order].clone(), label[order].clone()


def stream(
    chunks: Dataset[tuple[Tensor, Tensor]], count: int, first: int, workers: int
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Chunks first ... count - 1 with their number, drawn by `workers` processes (0: in this one)."""
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        chunks,
        batch_size=None,
        sampler=range(first, count),
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        multiprocessing_context="spawn" if workers else None,
    )
    for i, (image, label) in enumerate(loader, start=first):
        yield i, image, label
