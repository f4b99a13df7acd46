"""Freed memory is kept for the next step, where the C library allows it."""

import os
import subprocess
import sys

import pytest

CHURN = """
import resource
from inverter.isolation.memory import keep_memory
kept = keep_memory()
blocks = [bytearray(8 << 20) for _ in range(2)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    blocks = [bytearray(8 << 20) for _ in range(2)]
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def churn(**environment: str) -> tuple[bool, int]:
    """Whether memory is kept, and the number of page faults of 40 blocks of 8 MiB."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", CHURN], env=known | environment, capture_output=True, text=True, check=True
    )
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_blocks_are_used_again_instead_of_new_pages() -> None:
    kept, faults = churn()
    assert kept
    assert faults < 5_000  # 40 blocks have 82,000 pages


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_settings_of_the_environment_come_first() -> None:
    kept, faults = churn(MALLOC_MMAP_THRESHOLD_="1000000")
    assert not kept
    assert faults > 50_000
