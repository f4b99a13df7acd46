"""What tests of several recipes share: networks on disk, a way to call the command line, pictures, a network."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from inverter import Model
from recipes.cli import main

NETS = """
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5)
        self.wide = nn.Conv2d(4, 6, 9)
        self.head = nn.Linear(6, 3)
    def forward(self, x):
        return self.head(self.wide(self.conv(x)).mean((2, 3)))

class Silent(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5)
    def forward(self, x):
        self.conv(x)

class Strict(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5)
    def forward(self, x):
        assert x.shape[2] == 224, "Wrong image height! Expected 224"
        return self.conv(x)

class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Flatten(2)
    def forward(self, x):
        return self.tokens(x)

def net():
    torch.manual_seed(0)
    return Net()

def fails():
    raise RuntimeError("two\\nlines")

silent, strict, sequence, number = Silent, Strict, Sequence, int
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with networks in nets.py."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INVERTER_TRACEBACK", raising=False)
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path


@pytest.fixture
def command(here: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with two pictures of soft colours, `a.png` and `b.png`, 20 pixels wide and 16 high."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, name in enumerate(("a", "b")):
        small = np.random.default_rng(seed).integers(0, 255, (3, 3, 3), dtype=np.uint8)
        Image.fromarray(small).resize((20, 16), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def insects(tiny_net: nn.Module) -> Model:
    """A network that knows five classes by name, and sees 16 x 16 pixels."""
    return Model(tiny_net, input_size=(16, 16), categories=("ant", "bee", "cat", "dog", "eel"))
