"""Bit-identical results from the same call, on a GPU too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from inverter_errors import RunFailed

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_UNSUPPORTED = " does not have a deterministic implementation"
"""What torch says after the name of an operation without a deterministic algorithm."""


@contextmanager
def deterministic(enabled: bool = True) -> Iterator[None]:
    """A context in which torch uses deterministic algorithms only; CPUs use no others anyway.

    cuBLAS reads its setting when a process first uses it, so the context has to begin before that.

    Args:
        enabled: False leaves everything as it is.

    Raises:
        RunFailed: from inside the context, for an operation without a deterministic algorithm on its device.

    Example:
        >>> with deterministic():
        ...     torch.are_deterministic_algorithms_enabled()
        True
    """
    if not enabled:
        yield
        return
    cudnn, before = torch.backends.cudnn, os.environ.get(CUBLAS)
    known = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    searches = cudnn.benchmark
    os.environ.setdefault(CUBLAS, ":4096:8")
    try:
        torch.use_deterministic_algorithms(True)
        cudnn.benchmark = False  # else it picks whichever algorithm happens to be the fastest now
        yield
    except RuntimeError as error:
        operation, unsupported, _ = str(error).partition(_UNSUPPORTED)
        if not unsupported or isinstance(error, RunFailed):
            raise
        raise RunFailed(
            f"{operation}{unsupported} on this device: run without the deterministic mode, or on the CPU"
        ) from error
    finally:
        torch.use_deterministic_algorithms(known[0], warn_only=known[1])
        cudnn.benchmark = searches
        if before is None:
            os.environ.pop(CUBLAS, None)
