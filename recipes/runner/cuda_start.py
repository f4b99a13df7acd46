"""A GPU that starts while the libraries are imported and the weights are read: its start takes seconds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def starting_gpu(device: str | None) -> Iterator[None]:
    """A context in which the GPU starts in a thread of its own; when it ends, the GPU has started.

    Args:
        device: as the user wrote it. Without a GPU, or for another device, it has no effect; what is wrong with it is
            said where it is used.
    """
    if device not in (None, "auto") and not str(device).startswith("cuda"):
        yield
        return
    import torch  # here, not in the thread: two threads that import the same modules get in each other's way

    if not torch.cuda.is_available():
        yield
        return
    thread = threading.Thread(target=_start, args=("cuda" if device in (None, "auto") else device,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()  # a recording must not meet its allocations


def _start(device: str) -> None:
    """Makes the first use of the device, and of its libraries for products and convolutions."""
    import torch

    with suppress(Exception), torch.no_grad():
        image = torch.ones(1, 8, 8, 8, device=device, dtype=torch.float32)
        torch.nn.functional.conv2d(image, image)
        torch.mm(image[0, 0], image[0, 0])
