"""Threads on shared machines: how they wait for each other, and how many of them a run uses."""

# No torch at the top: its threads read the environment when it is imported.
from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

WAITING = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}
"""Variables of OpenMP, and of Intel's and LLVM's runtime: a thread that waits for others leaves its core to them.

By default such a thread spins. Next to another busy process it then burns the very core that its partner needs, and a
picture takes up to ten times as long (BENCHMARKS.md).
"""
GIVEN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which a user sets the number of threads."""


def wait_passively(environment: MutableMapping[str, str] = os.environ) -> None:
    """Lets OpenMP's threads sleep while they wait, unless the user has said how they wait.

    It works only before torch is imported for the first time in a process.

    Args:
        environment: variables of the process; those that are missing are added.

    Example:
        >>> environment = {"OMP_WAIT_POLICY": "active"}
        >>> wait_passively(environment)
        >>> environment
        {'OMP_WAIT_POLICY': 'active'}
    """
    if not WAITING.keys() & environment.keys():
        environment.update(WAITING)


def default_threads() -> int:
    """Torch's current number of threads, but no more than a container may use; a number that the user set stays."""
    import torch

    given = any(name in os.environ for name in GIVEN)
    return fitting(torch.get_num_threads(), None if given else quota())


def fitting(threads: int, cores: float | None) -> int:
    """As many threads as a quota of processor time feeds: more would stop all of them until the next period.

    Args:
        threads: at most.
        cores: worth of processor time that the process may use; None for no limit.

    Returns:
        At least 1. It depends on the machine's limits alone, not on its load: the order of sums, and so the last bits
        of the pictures, depend on it.

    Example:
        >>> fitting(8, 2.5), fitting(8, 0.5), fitting(2, None)
        (2, 1, 2)
    """
    return threads if cores is None else max(1, min(threads, int(cores)))


def quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float | None:
    """The cores that this process may use by the limits of its control groups (Linux, version 1 or 2).

    Args:
        root: where the control groups are mounted.
        own: the file that names those of this process.

    Returns:
        The tightest limit, of its own group or one above; None where there is none.
    """
    limits = []
    try:
        groups = [line.split(":", 2) for line in own.read_text().splitlines()]
    except (OSError, ValueError):
        return None
    for _, controllers, path in (group for group in groups if len(group) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / controllers if (root / controllers).is_dir() else root / "cpu"
        place = (base if controllers else root) / path.strip("/")
        # In a container the path may be the host's: then only the root of the mount is there.
        while place != root.parent:
            if (limit := _limit(place)) is not None:
                limits.append(limit)
            place = place.parent
    return min(limits, default=None)


def _limit(group: Path) -> float | None:
    """The limit of one control group, in cores."""
    try:
        if (unified := group / "cpu.max").is_file():
            allowed, period = unified.read_text().split()
        else:
            allowed = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        return int(allowed) / int(period) if allowed != "max" and int(allowed) > 0 and int(period) > 0 else None
    except (OSError, ValueError):
        return None
