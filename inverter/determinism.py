"""The same bytes from the same call, on a GPU too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def deterministic(wanted: bool = True) -> Iterator[None]:
    """Has torch take deterministic algorithms alone until the context ends; CPUs take no others anyway.

    cuBLAS reads its setting when a process first uses it, so the context has to begin before that.

    Raises:
        RuntimeError: in the context, by an operation that a device has no deterministic algorithm for; it names it.

    Example:
        >>> with deterministic():
        ...     torch.are_deterministic_algorithms_enabled()
        True
    """
    if not wanted:
        yield
        return
    cudnn, before = torch.backends.cudnn, os.environ.get(CUBLAS)
    known = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    searches = cudnn.benchmark
    os.environ.setdefault(CUBLAS, ":4096:8")
    try:
        torch.use_deterministic_algorithms(True)
        cudnn.benchmark = False  # else it takes whichever algorithm happens to be the fastest now
        yield
    finally:
        torch.use_deterministic_algorithms(known[0], warn_only=known[1])
        cudnn.benchmark = searches
        if before is None:
            os.environ.pop(CUBLAS, None)
