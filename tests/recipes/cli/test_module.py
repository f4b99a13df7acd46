"""`python -m inverter` is the command `inverter`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from inverter import __version__

NET = """
import json, os, sys
from torch import nn
print(json.dumps([sys.orig_argv, sys.warnoptions, os.environ.get("OMP_WAIT_POLICY")]))
net = lambda: nn.Sequential(nn.Conv2d(3, 2, 3))
"""


def start(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=300, env=env)


def test_a_module_is_the_command() -> None:
    done = start("-m", "inverter", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"inverter {__version__}\n", "")
    done = start("-m", "recipes.cli", "gallery", "--stepz", "3")
    assert done.returncode == 2
    assert done.stderr.startswith("inverter gallery: unknown option --stepz; did you mean --steps")


def test_its_threads_wait_passively_and_the_interpreters_options_are_kept(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NET)
    environment = {key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "KMP_BLOCKTIME")}
    command = ("layers", "--model", f"{tmp_path / 'nets.py'}:net", "--input-size", "8")
    done = start("-W", "error", "-m", "inverter", *command, env=environment)
    assert done.returncode == 0, done.stderr
    arguments, warnings, waiting = json.loads(done.stdout.splitlines()[0])
    assert arguments[1:] == ["-W", "error", "-m", "recipes.cli", *command]  # a new process, not one with torch already
    assert (warnings, waiting) == (["error"], "passive")
