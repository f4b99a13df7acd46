"""`kill -9` at random moments: the short form of `kill_nine.py` beside this file, which says what is compared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks processes")
def test_killed_runs_leave_what_runs_leave_that_were_never_stopped() -> None:
    done = subprocess.run(
        [sys.executable, "tests/recipes/robustness/kill_nine.py", "--kills", "3"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "3 kills in " in done.stdout
