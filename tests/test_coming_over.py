"""The pages for users of other libraries: our blocks run, and where the other library is installed, theirs too.

A block `title="both"` or `title="inverter"` is ours; one with a library's name is run only with that library. Where a
block of theirs sets `theirs` to a map and the next of ours sets `ours`, the maps must be the same up to a scale.
"""

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "coming_over").glob("*.md"))
BLOCK = re.compile(r'^```python title="([^"]+)"\n(.*?)^```', re.MULTILINE | re.DOTALL)
OURS = ("both", "inverter")
PEERS = {
    "captum": ("Captum", "captum", 4),
    "grad_cam": ("pytorch-grad-cam", "pytorch_grad_cam", 2),
    "torchray": ("TorchRay", "torchray", 3),
    "lucent": ("Lucent", "lucent", 0),
    "horama_xplique": ("Horama", "horama", 0),
}
"""Page -> the peer's title there, its module, and the number of pairs of maps that are compared."""


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "examples" / "pictures", tmp_path / "examples" / "pictures")
    down, across = np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64)[None]
    falling = 1 / np.maximum(np.hypot(down, across), 1 / 64)
    np.save(tmp_path / "spectrum_decorrelated.npy", np.stack([falling] * 3))  # Horama would download it
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(page: Path, titles: tuple[str, ...]) -> tuple[dict[str, Any], list[float]]:
    """Runs the blocks with these titles in order; returns the names, and the correlation of each pair of maps."""
    names: dict[str, Any] = {}
    found = []
    for title, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if title not in titles:
            compile(text, str(page), "exec")
            continue
        exec(compile(text, str(page), "exec"), names)
        if title == "inverter" and isinstance(names.get("ours"), Tensor) and isinstance(names.get("theirs"), Tensor):
            theirs, ours = names.pop("theirs").detach().float(), names.pop("ours")
            assert theirs.shape == ours.shape
            found.append(float(torch.corrcoef(torch.stack([theirs.flatten(), ours.flatten()]))[0, 1]))
    return names, found


each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def test_every_page_is_of_a_known_peer() -> None:
    assert {page.stem for page in PAGES} == set(PEERS)


@each_page
@pytest.mark.filterwarnings("ignore")  # of the other library
def test_both_give_what_the_page_says(page: Path, prepared: Path) -> None:
    """Without the other library our blocks run alone."""
    title, module, pairs = PEERS[page.stem]
    installed = importlib.util.find_spec(module) is not None
    names, correlations = run(page, (*OURS, title) if installed else OURS)
    assert "model" in names
    assert len(correlations) == (pairs if installed else 0)
    assert min(correlations, default=1.0) > 0.9999, correlations
    if installed and page.stem == "horama_xplique":
        assert names["transparency"].shape == (3, 256, 256)
