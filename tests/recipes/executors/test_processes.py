"""Several processes: the same bytes as one, whichever is killed, and none is left running."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipes.outputs.journal import JOURNAL

ROOT = Path(__file__).parents[3]


def test_two_processes_of_which_one_is_killed_leave_the_same_bytes(killed: Callable[..., dict[str, bytes]]) -> None:
    output = killed({"workers": 2})
    assert sum(name.startswith("images/") for name in output) == 12
    assert multiprocessing.active_children() == []


def test_an_error_in_a_process_is_raised_here(killable_gallery: Any, tmp_path: Path) -> None:
    network = tmp_path / "net.py"
    network.write_text(network.read_text().replace("os.kill(os.getpid(), signal.SIGKILL)", "raise OSError('a disk')"))
    (tmp_path / "here").mkdir()
    with pytest.raises(OSError, match="a disk"):
        killable_gallery.recipe("here", workers=2, images=None).run(killable_gallery.kill_one)
    assert multiprocessing.active_children() == []


def workers(parent: int) -> list[int]:
    """The child processes of a process."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc, which only Linux has")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_no_process_outlives_the_run_and_the_next_run_resumes(
    killable_gallery: Any, tmp_path: Path, how: signal.Signals
) -> None:
    main = "from recipes.cli.entry import main; raise SystemExit(main())"
    command = [sys.executable, "-c", main, "gallery", "--model", f"{tmp_path}/net.py:network"]
    options = {"layer": 3, "size": 16, "steps": 4, "batch-size": 2, "device": "cpu", "threads": 1, "workers": 2}
    command += [text for key, value in options.items() for text in (f"--{key}", str(value))]
    command += ["--out", str(tmp_path / "there")]
    journal = tmp_path / "there" / JOURNAL
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not (journal.is_file() and journal.read_bytes().endswith(b"\n")):  # a first batch is finished
            assert process.poll() is None
            time.sleep(0.02)
        children = workers(process.pid)
        process.send_signal(how)
        errors = process.communicate(timeout=120)[1]
    assert len(children) >= 2
    deadline = time.monotonic() + 60
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))
    if how is not signal.SIGKILL:
        assert process.returncode == 130
        assert "the same command continues" in errors
        assert "Traceback" not in errors
    report = killable_gallery.recipe("there", images=None).run()
    assert 0 < report.made <= 10
    killable_gallery.recipe("here", images=None).run()
    assert killable_gallery.contents("there") == killable_gallery.contents("here")
