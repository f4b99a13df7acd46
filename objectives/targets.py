"""The targets of an objective on each device, at a place that never changes: a recorded step reads them there."""

from __future__ import annotations

import torch
from torch import Tensor


class Targets:
    """A tensor of targets, copied to a device when it is first read there: scoring never waits for a copy.

    Args:
        values: (N, ...), one for each unit, or a single one (N = 1) for every image.

    Example:
        >>> targets = Targets(torch.tensor([3, 1]))
        >>> there = targets(torch.device("cpu"))
        >>> targets.take(Targets(torch.tensor([7, 5])))
        >>> there
        tensor([7, 5])
    """

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._there: dict[torch.device, Tensor] = {}

    def __call__(self, device: torch.device) -> Tensor:
        """The targets on a device, (N, ...): the same tensor in each call."""
        if device not in self._there:
            # A copy on their own device as well: made in inference mode, they could take no part in a gradient.
            self._there[device] = self._values.to(device, copy=True)
        return self._there[device]

    def __len__(self) -> int:
        return len(self._values)

    @property
    def form(self) -> tuple[object, ...]:
        """What targets that can take each other's place have in common: all but their number and values."""
        return len(self) == 1, tuple(self._values.shape[1:]), self._values.dtype

    def take(self, other: Targets) -> None:
        """Has the tensors that were read so far hold other targets.

        Args:
            other: of the same form, and no more of them.
        """
        for there in self._there.values():
            there[: len(other)].copy_(other._values)
