"""What a device's own failures look like: no memory left, or an accelerator that is gone."""

from __future__ import annotations

import torch

_SAYS = ("can't allocate memory", "not enough memory", "out of memory", "alloc_failed")
"""How torch says it where it has no type of error for it: of the CPU's memory, of MPS, of cuBLAS."""


def out_of_memory(error: BaseException) -> bool:
    """True for every way in which Python and torch say that memory ran out, on any device.

    Example:
        >>> out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
        True
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _SAYS)


def gpu_lost(error: BaseException) -> bool:
    """True for errors of the accelerator itself: a device that has gone, or a kernel that it could not run.

    Example:
        >>> gpu_lost(RuntimeError("CUDA error: unspecified launch failure"))
        True
    """
    return isinstance(error, RuntimeError) and (
        isinstance(error, torch.AcceleratorError) or str(error).startswith(("CUDA error", "cuDNN error", "MPS"))
    )
