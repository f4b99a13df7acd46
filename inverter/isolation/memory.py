"""Has the allocator keep freed memory, since the next step needs as much again."""

from __future__ import annotations

import ctypes
import os
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt` (malloc.h)."""
_KEPT = 1 << 30
"""Bytes. The layers of a batch are smaller, each by itself."""


@cache
def keep_memory() -> bool:
    """Has glibc keep freed blocks for this process.

    By default it returns every block above some MB to the system when it is freed, and each step of an optimisation
    gets thousands of new pages, which the system fills with zeros: a fifth of the time on a CPU. The peak memory stays
    the same; what is kept can be used by everything else in the process. Where the environment has settings of its own
    (MALLOC_... or GLIBC_TUNABLES), or the C library is not glibc, the allocator is left alone.

    Returns:
        True if freed blocks are kept.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        if not os.confstr("CS_GNU_LIBC_VERSION"):
            return False
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, ValueError):  # not glibc, or not even POSIX
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _KEPT)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
