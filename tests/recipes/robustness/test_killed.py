"""`kill -9` at random moments: the short form of `kill_nine.py` in this folder, which states what is compared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks processes")
def test_killed_and_resumed_runs_leave_the_files_of_uninterrupted_runs() -> None:
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
