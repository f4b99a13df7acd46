"""Provoked faults of real runs: everything finished stays, and one clear line says what happened."""

import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import recipes.outputs.atomic
from inverter import load_model
from recipes import Gallery
from recipes.cli.entry import main
from recipes.executors.progress import RunProgress
from recipes.outputs.atomic import write_bytes
from recipes.outputs.journal import noted
from recipes.outputs.manifest import Manifest

NET = """
import torch
from torch import nn
class Net(nn.Sequential):
    calls, fails_at = 0, None
    def forward(self, x):
        Net.calls += 1
        if Net.calls == Net.fails_at:
            raise RuntimeError("CUDA error: unspecified launch failure\\nCompile with TORCH_USE_CUDA_DSA")
        return super().forward(x)
def net():
    torch.manual_seed(0)
    return Net(nn.Conv2d(3, 6, 3), nn.Flatten(), nn.Linear(6 * 22 * 22, 4))
def lost():
    Net.calls, Net.fails_at = 0, 12
    return net()
"""
GALLERY = "gallery --layer 0 --channels 0-5 --size 24 --steps 4 --batch-size 2 --precision float32 --device cpu"


class Small(nn.Module):
    """A network on a device that holds `fits` pictures at a time."""

    def __init__(self, fits: int, error: Exception) -> None:
        super().__init__()
        self.conv, self.fits, self.error = nn.Conv2d(3, 8, 3), fits, error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.fits and torch.is_grad_enabled():
            raise self.error
        return self.conv(x)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INVERTER_TRACEBACK", raising=False)
    (tmp_path / "nets.py").write_text(NET)
    return tmp_path


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def units(out: Path) -> list[str]:
    """The finished pictures: a run that could no longer write its manifest has them in its journal."""
    return list(Manifest.load(out / "manifest.json").units | noted(out))


def gallery(module: nn.Module, out: Path, **options: object) -> Gallery:
    known = {"layer": "conv", "channels": "0-7", "steps": 3, "batch_size": 8, "precision": "float32", "augment": "none"}
    return Gallery(model=load_model(module, input_size=12), out=str(out), **(known | options))  # type: ignore[arg-type]


def bytes_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "images").rglob("*.png")}


def test_a_full_disk_ends_the_run_in_one_line_and_keeps_what_is_finished(
    here: Path, tiny_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*GALLERY.split(), "--model", "nets.py:net", "--out", str(tiny_disk / "out")]
    (tiny_disk / "ballast").write_bytes(bytes(48_000))
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("inverter gallery: failed: No space left on device: ")
    assert lines[-1].endswith("; what is finished is kept")
    done = units(tiny_disk / "out")
    assert len(done) < 6
    for file in done:
        with Image.open(tiny_disk / "out" / file) as picture:
            picture.load()
    assert not list(tiny_disk.rglob("*.partial"))
    (tiny_disk / "ballast").unlink()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_keeps_what_is_finished_and_the_same_command_resumes(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    written = 0

    def failing(file: int) -> None:
        nonlocal written
        written += 1
        if written > 4:
            raise OSError(number, os.strerror(number))

    arguments = [*GALLERY.split(), "--model", "nets.py:net", "--out", "OUT"]
    with monkeypatch.context() as patch:
        patch.setattr(recipes.outputs.atomic.os, "fsync", failing)
        assert main(arguments) == 1
    assert f"failed: {os.strerror(number)}: OUT/" in capsys.readouterr().err.splitlines()[-1]
    assert units(here / "OUT") == ["images/0/0000.png", "images/0/0001.png"]
    assert not list((here / "OUT").rglob("*.partial"))
    assert main(arguments) == 0
    assert "6 pictures in OUT (4 made" in capsys.readouterr().out


def test_a_folder_that_vanishes_is_reported_and_not_recreated(tmp_path: Path) -> None:
    def vanish(update: RunProgress) -> None:
        if update.done > 2 and (tmp_path / "out").exists():
            while not noted(tmp_path / "out"):  # the first batch is being written
                time.sleep(0.01)
            shutil.rmtree(tmp_path / "out")

    with pytest.raises(FileNotFoundError, match=r"output folder .*out' has vanished"):
        gallery(Small(9, ValueError()), tmp_path / "out", batch_size=2).run(vanish)
    assert not (tmp_path / "out").exists()
    assert gallery(Small(9, ValueError()), tmp_path / "out").run().made == 8


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_out_of_memory_halves_the_batch_warns_and_continues(tmp_path: Path, error: Exception) -> None:
    torch.manual_seed(0)
    net = Small(3, error)
    with pytest.warns(UserWarning) as caught:
        report = gallery(net, tmp_path / "small").run()
    assert [str(each.message) for each in caught] == [
        "out of memory with 8 pictures together: going on with 4",
        "out of memory with 4 pictures together: going on with 2",
    ]
    assert (report.made, report.failed) == (8, [])
    gallery(net, tmp_path / "pairs", batch_size=2).run()
    assert bytes_of(tmp_path / "small") == bytes_of(tmp_path / "pairs")


@pytest.mark.parametrize(
    ("options", "says"),
    [({"batch_size": 1}, "one picture"), ({"attempts": 3, "channels": "0-1"}, "6 pictures that belong together")],
)
def test_a_batch_that_cannot_be_halved_is_one_clear_error(
    tmp_path: Path, options: dict[str, object], says: str
) -> None:
    with pytest.raises(MemoryError, match=rf"{says} did not fit into memory \(cpu\): give a smaller size"):
        gallery(Small(0, MemoryError()), tmp_path, **options).run()
    assert (tmp_path / "index.html").is_file()


def test_another_error_of_the_network_is_not_taken_for_out_of_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        gallery(Small(1, RuntimeError("broken")), tmp_path).run()


def test_a_gpu_that_disappears_gives_one_line_and_what_is_finished_stays(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*GALLERY.split(), "--out", "OUT", "--model"]
    assert main([*arguments, "nets.py:lost"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("inverter gallery: failed: CUDA error: unspecified launch failure Compile with")
    assert last.endswith("; what is finished is kept")
    assert 0 < len(units(here / "OUT")) < 6
    assert set(units(here / "OUT")) == {f"images/0/{path.name}" for path in (here / "OUT/images/0").iterdir()}


def test_pictures_that_cannot_be_read_are_named_counted_and_skipped(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "photos").mkdir()
    for index in range(10):
        pixels = np.random.default_rng(index).integers(0, 255, (24, 24, 3))
        Image.fromarray(np.uint8(pixels)).save(here / f"photos/{index:02d}.png")
    (here / "photos/03.png").write_bytes(b"\x89PNG\r\n\x1a\nno chunks")
    (here / "photos/07.png").write_bytes((here / "photos/08.png").read_bytes()[:40])
    common = "--model nets.py:net --device cpu --size 24"
    for command in (
        f"invert --image photos --layer 0 --steps 1 {common} --out A",
        "inpaint --image photos --missing 0.5 --steps 1 --out B --device cpu",
        f"patches --images photos --layer 0 {common} --out C",
        "statistics --images photos --out statistics.json",
    ):
        assert main(command.split()) == 0, capsys.readouterr().err
        error = capsys.readouterr().err
        assert "03" in error, command
        assert "07" in error, command
        assert "2 pictures could not be read and were skipped" in error, command
    assert len(units(here / "A")) == 8 * 2
    assert main(f"invert --image photos/03.png --layer 0 {common} --out D".split()) == 2
    assert "03.png cannot be read as a picture" in capsys.readouterr().err


def test_a_disk_that_fails_ends_the_run_while_the_next_batch_is_still_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[float]()

    def failing(path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def slowly(update: RunProgress) -> None:
        seen.append(update.done)
        time.sleep(0.05 if update.done > 4 else 0)

    monkeypatch.setattr("recipes.outputs.store.write_bytes", failing)
    with pytest.raises(OSError, match=r"No space left on device.*0000\.png"):
        gallery(Small(9, ValueError()), tmp_path, batch_size=4, steps=100).run(slowly)
    assert 4 <= seen[-1] < 8  # it has not gone on to the end of the second batch
    assert units(tmp_path) == []


def test_pictures_are_written_while_the_next_batch_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, written = threading.Event(), write_bytes

    def waiting(path: Path, data: bytes) -> None:
        assert first.wait(30), "the run waits for its pictures"
        written(path, data)

    def update(at: RunProgress) -> None:
        if at.done > 4:
            first.set()

    monkeypatch.setattr("recipes.outputs.store.write_bytes", waiting)
    report = gallery(Small(9, ValueError()), tmp_path, batch_size=4).run(update)
    assert sorted(bytes_of(tmp_path)) == [Path(record.file).name for record in report.records]
