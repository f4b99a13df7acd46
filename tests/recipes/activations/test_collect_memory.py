"""However many activations are collected, memory holds only a few batches of them."""

import subprocess
import sys
from pathlib import Path

import pytest

LIMITED = """
import resource, sys
import numpy as np
import torch
from torch import nn
from recipes.activations.collect import collect
from recipes.activations.reducers import Positions

class Noise(torch.utils.data.Dataset):
    def __init__(self, count):
        self.count = count
    def __len__(self):
        return self.count
    def __getitem__(self, index):
        return torch.rand(3, 34, 34, generator=torch.Generator().manual_seed(index))

torch.set_num_threads(1)
net = nn.Sequential(nn.Conv2d(3, 256, 3), nn.ReLU())
collect(net, Noise(40), "1", Positions("all", dtype="float32"), out=sys.argv[1] + "/first", size=34, batch=4)

def data():  # bytes of private memory that can be written to: what a limit of it counts
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))

room = 48 << 20
resource.setrlimit(resource.RLIMIT_DATA, (data() + room, data() + room))
try:
    np.ones(2 * room, np.uint8)
except MemoryError:
    print("limited")
found = collect(net, Noise(240), "1", Positions("all", dtype="float32"), out=sys.argv[1] + "/second", size=34, batch=4)
vectors = found.vectors("1")
print(len(vectors), vectors.nbytes > 4 * room, type(vectors).__name__, float(vectors[::50_000].sum()) > 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of writable memory (RLIMIT_DATA) is Linux's")
def test_activations_go_to_disk_and_not_to_memory(tmp_path: Path) -> None:
    """216,000 vectors of 221 MB, in a process that may take 48 MiB more than it has after a small collection."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3], timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[:2] == ["limited", "216000 True memmap True"]
