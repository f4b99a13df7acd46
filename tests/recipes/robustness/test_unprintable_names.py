"""Pictures and folders whose names are in no encoding: runs, manifests, pages and repetitions."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inverter.engine import unit_seeds
from recipes.cli.entry import main
from recipes.cli.repeat import repeat
from recipes.options.named import parse_options, write_options

NET = """
import torch
from torch import nn
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
NETWORK = "--model nets.py:net --input-size 24 --device cpu"
FOLDER, NAME = os.fsdecode(b"ph\xf6tos"), os.fsdecode(b"caf\xe9")
RUNS = {
    "invert": f"invert {NETWORK} --steps 2 --layer 1 --prior pixels --image",
    "explain": f"explain {NETWORK} --target logit:1 --image",
    "inpaint": "inpaint --steps 2 --mask mask.png --image",
    "accentuate": f"gallery {NETWORK} --steps 2 --layer 1 --channels 0 --prior accentuate:image=",
}


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NET)
    draw = np.random.default_rng(0)
    try:
        (tmp_path / FOLDER).mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    Image.fromarray(np.uint8(draw.integers(0, 255, (24, 24, 3)))).save(tmp_path / FOLDER / f"{NAME}.png")
    Image.fromarray(np.uint8(255 * (draw.random((24, 24)) < 0.7))).save(tmp_path / "mask.png")
    return f"{FOLDER}/{NAME}.png"


def manifest(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(out) / "manifest.json").read_bytes())
    return found


@pytest.mark.parametrize("command", RUNS.values(), ids=RUNS.keys())
def test_a_run_continues_and_repeats(photo: str, command: str) -> None:
    *head, last = command.split()
    given = [*head, last + photo] if last.endswith("=") else [*head, last, photo]
    assert main([*given, "--out", NAME]) == 0
    before = manifest(NAME)
    assert main([*given, "--out", NAME]) == 0  # its manifest is read
    assert manifest(NAME) == before
    assert all((Path(NAME) / unit["file"]).is_file() for unit in before["units"])
    assert [each.same for each in repeat(NAME, before["units"][-1]["file"])] == [True]


def test_the_page_shows_the_pictures(photo: str, visit: Callable[..., Any]) -> None:
    assert main([*RUNS["invert"].split(), photo, "--out", "out"]) == 0
    shown = visit(Path("out/index.html").resolve())
    shown.until("document.images.length >= 2 && [...document.images].every((image) => image.naturalWidth > 0)")
    assert "caf" in shown.page.inner_text("body")


def test_names_draw_seeds_and_options_keep_them() -> None:
    assert len(set(unit_seeds([NAME, f"{NAME}2", "\ud800"], 0))) == 3
    for path in (NAME, "schöne 😀.png", "quote ' and \" and \\", "\x7f"):
        assert parse_options(write_options("accentuate", {"image": path}), "prior") == ("accentuate", {"image": path})
