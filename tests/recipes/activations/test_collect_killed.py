"""A pass that is killed resumes, and leaves the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def contents(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


KILLED = """
import sys, time
import torch
from torch import nn
import recipes.activations.collect

class Slow(torch.utils.data.Dataset):
    def __init__(self, wait):
        self.wait = wait
    def __len__(self):
        return 40
    def __getitem__(self, index):
        time.sleep(self.wait)
        return torch.full((3, 16, 16), index / 40)

def run(out, wait=0.0):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    def progress(update):
        print(update.done, flush=True)
    recipes.activations.collect.collect(net, Slow(wait), ["0", "1"], out=out, size=16, batch=2, progress=progress)

if __name__ == "__main__":
    recipes.activations.collect.COMMIT_EVERY = 0.0
    run(sys.argv[1], 0.05)
"""


def test_a_pass_that_is_killed_resumes_and_leaves_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "slow.py"), str(tmp_path / "killed")]
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 12:
                process.kill()
                break
    done = json.loads((tmp_path / "killed/activations.json").read_text())["done"]
    assert 10 <= done < 40
    names: dict[str, Any] = {"__name__": "slow"}
    exec(KILLED, names)
    for out in ("killed", "complete"):
        names["run"](tmp_path / out)
    assert contents(tmp_path / "killed") == contents(tmp_path / "complete")
