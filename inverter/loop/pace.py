"""How far the host may run ahead of the device, and on which stream the device works."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

AHEAD = 4
"""Steps that may be queued on the device while the host reports an earlier one."""


class Pace:
    """Lets the host run a few steps ahead of the device, and says which steps the device has done.

    Args:
        device: where the steps run.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._queued: deque[tuple[int, Any]] = deque()

    def after(self, number: int) -> Iterator[int]:
        """The steps that are known to be done after step `number` has been queued."""
        if self.device.type != "cuda":
            yield number
            return
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.device))
        self._queued.append((number, event))
        while len(self._queued) > AHEAD:
            done, event = self._queued.popleft()
            event.synchronize()
            yield done

    def rest(self) -> Iterator[int]:
        """The other steps that were queued; whoever reads the results waits for them."""
        while self._queued:
            yield self._queued.popleft()[0]


@contextmanager
def own_stream(device: torch.device, recorded: bool) -> Iterator[None]:
    """A context in which a GPU's work is queued on a stream of its own: the default one cannot be recorded.

    Args:
        device: of the work.
        recorded: False leaves everything as it is.
    """
    if not recorded:
        yield
        return
    outer, inner = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    inner.wait_stream(outer)
    try:
        with torch.cuda.stream(inner):
            yield
    finally:
        outer.wait_stream(inner)
