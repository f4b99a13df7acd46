"""Files are written completely or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recipes.outputs.atomic import write_bytes, write_png, write_text


def test_what_is_written_can_be_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "file.txt"
    write_text(path, "Größe · 1\n")
    assert path.read_text(encoding="utf-8") == "Größe · 1\n"
    write_bytes(path, b"other")
    assert path.read_bytes() == b"other"
    assert list(path.parent.iterdir()) == [path]


def test_a_picture_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = torch.arange(2 * 4 * 3).reshape(2, 4, 3).byte()
    write_png(tmp_path / "a.png", pixels.permute(2, 0, 1) / 255)
    write_png(tmp_path / "grey.png", torch.tensor([[[0.0, 1.0]]]))
    with Image.open(tmp_path / "a.png") as colour, Image.open(tmp_path / "grey.png") as grey:
        assert np.array_equal(np.asarray(colour), pixels.numpy())
        assert grey.mode == "L"


@pytest.mark.parametrize("where", ["write", "rename"])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full) if where == "write" else monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_complete_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, found = tmp_path / "file.txt", []
    rename = Path.replace

    def watch(self: Path, target: Path) -> Path:
        found.append((self.read_text(), target.exists(), self.parent == target.parent))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    write_text(path, "complete")
    assert found == [("complete", False, True)]


def test_below_a_file_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OSError, match="file"):
        write_text(tmp_path / "file" / "below.txt", "text")
    assert (tmp_path / "file").read_text() == "kept"
