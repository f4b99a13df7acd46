"""The activation vectors that directions are learnt from, and those of held-out pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from inverter_errors import BadInput, plural

if TYPE_CHECKING:
    from recipes.activations.collect import CollectedActivations

RESIDENT = 2 * 2**30
"""Bytes of vectors, at most, that are kept on the device; more are read from disk, batch by batch."""
PART = 8192
"""Vectors measured at a time."""


@dataclass(frozen=True)
class Vectors:
    """Activation vectors on disk, of pictures to learn from and of others.

    Attributes:
        array: (n, C), memory-mapped.
        learnt: indices of those to learn from.
        held: indices of those of held-out pictures.
        pictures: number of held-out pictures.
        device: to learn on.
    """

    array: np.ndarray[Any, Any]
    learnt: np.ndarray[Any, Any]
    held: np.ndarray[Any, Any]
    pictures: int
    device: torch.device

    @classmethod
    def split(cls, found: CollectedActivations, layer: str, held_out: int, device: torch.device) -> Vectors:
        """Holds out every `held_out`-th picture, with all of its places.

        Args:
            found: collected activations.
            layer: address.
            held_out: of so many pictures, one is held out.
            device: to learn on.

        Raises:
            BadInput: for fewer than two readable pictures.
        """
        picture = np.asarray(found.where(layer)[:, 0])
        names, order = np.unique(picture, return_inverse=True)
        if len(names) < 2:
            raise BadInput(f"got {plural(len(names), 'picture')}: expected two or more, one of them held out")
        held = order % held_out == 0
        pictures = len(range(0, len(names), held_out))
        return cls(found.vectors(layer), np.flatnonzero(~held), np.flatnonzero(held), pictures, device)

    @cached_property
    def _resident(self) -> Tensor | None:
        if len(self.learnt) * self.array.shape[1] * 4 > RESIDENT:
            return None
        return torch.from_numpy(np.array(self.array[self.learnt], np.float32)).to(self.device)

    def draw(self, count: int, seed: int) -> Tensor:
        """Random vectors of those to learn from, (count, C) in float32 on the device, the same for the same seed.

        Args:
            count: of vectors.
            seed: of the draws.
        """
        chosen = torch.randint(len(self.learnt), (count,), generator=torch.Generator("cpu").manual_seed(seed))
        if self._resident is not None:
            return self._resident[chosen.to(self.device)]
        return self._read(self.learnt[chosen.numpy()])

    def sample(self, most: int, seed: int) -> Tensor:
        """At most so many different vectors of those to learn from, (n, C) in float32 on the CPU.

        Args:
            most: of vectors.
            seed: of the draws.
        """
        rows = self.learnt
        if len(rows) > most:
            rows = np.random.default_rng(seed).choice(rows, most, replace=False)
        return self._read(np.sort(rows)).cpu()

    def parts(self, rows: np.ndarray[Any, Any]) -> Iterator[Tensor]:
        """Vectors of some indices, part by part.

        Args:
            rows: indices, such as `held`.
        """
        for start in range(0, len(rows), PART):
            yield self._read(rows[start : start + PART])

    def _read(self, rows: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(np.array(self.array[rows], np.float32)).to(self.device)
