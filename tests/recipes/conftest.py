"""Pictures and a network that the tests of several recipes share."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from inverter import Model


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
