"""Generated bad input: the short form of `fuzz_bad_input.py` in this folder, which states the rule."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_generated_input_completes_or_is_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "tests/recipes/robustness/fuzz_bad_input.py", "--cases", "80"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.search(r"(\d+) cases: .*exit code 2 (\d+)", done.stdout)
    assert found, done.stdout
    assert int(found[1]) >= 65
    assert int(found[2]) > 40, "almost none of the input was bad"
