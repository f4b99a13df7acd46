"""The command: its link, its end, its errors in one line; and a server that is killed and started again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from inverter_errors import MissingLibrary
from recipes.cli import exploring
from recipes.explore.explore import Explore, serve
from recipes.explore.session import Session
from recipes.outputs.journal import noted
from recipes.outputs.manifest import Manifest
from tests.recipes.explore.conftest import Page

ROOT = Path(__file__).resolve().parents[3]
Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command on a small bundled network; returns its process and its link."""
    processes = list[subprocess.Popen[str]]()

    def begin(*more: str) -> tuple[subprocess.Popen[str], str]:
        given = ["--out", str(tmp_path / "out"), "--size", "48", "--steps", "12", "--device", "cpu", *more]
        process = subprocess.Popen(
            [sys.executable, "-m", "recipes.cli", "explore", *given],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        processes.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().split()[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def finished(out: Path) -> dict[str, int]:
    """The finished pictures, each with its time; all of them must be readable."""
    units = Manifest.load(out / "manifest.json").units | noted(out)
    for file in units:
        with Image.open(out / file) as picture:
            picture.load()
    return {file: (out / file).stat().st_mtime_ns for file in units}


def test_a_server_that_is_killed_goes_on_where_it_was(start: Start, tmp_path: Path, command: object) -> None:
    out = tmp_path / "out"
    process, link = start()
    page = Page(link, "pageaaaa")
    page.show("features.stage1", list(range(24)))
    page.until(lambda: len(page.units()) >= 8, 120)
    code, _, errors = command("gallery", "--model", "builtin", "--layer", "all", "--out", str(out))  # type: ignore[operator]
    assert (code, errors.count("\n")) == (2, 1)
    assert "another run is at work" in errors
    process.send_signal(signal.SIGKILL)
    process.wait()
    page.client.close()
    before = finished(out)
    assert len(before) >= 8
    process, link = start()
    page = Page(link, "pagebbbb")
    listed = page.client.get("/api/layers/features.stage1").json()["units"]
    assert sum(unit["url"] is not None for unit in listed) == len(before)
    page.show("features.stage1", list(range(24)))
    page.until(lambda: len(before) + len(page.units()) == 24, 120)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    page.client.close()
    assert process.returncode == 130
    assert errors == "stopped; what is finished is kept, and the same command continues\n"
    after = finished(out)
    assert len(after) == 24
    assert {file: after[file] for file in before} == before
    assert "24 of 896" in (out / "index.html").read_text()
    assert json.loads((out / "manifest.json").read_text())["settings"]["layer"] == ["all"]


def test_the_page_does_not_wait_for_torch() -> None:
    code = (
        "import sys, recipes.cli.entry, recipes.explore.session, recipes.explore.listening\n"
        "heavy = {'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--host", "0.0.0.0"], "host 0.0.0.0 lets other machines in"),
        (["--token", "short"], "token has 5 characters"),
        (["--port", "70000"], "port must be at most 65535"),
        (["--images", "nowhere"], "images 'nowhere' is not there"),
        (["--augment", "strog"], "strong"),
        (["--prior", "furier"], "fourier"),
        (["--steps", "-1"], "steps"),
        (["--model", "nets.py:nothere"], "nothere"),
        (["--model", "nets.py:net", "--weights", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--host", "203.0.113.7", "--token", "a" * 16], "203.0.113.7"),
    ],
)
def test_bad_input_is_one_line(command: object, arguments: list[str], text: str) -> None:
    code, _, errors = command("explore", "--out", "out", "--no-open", *arguments)  # type: ignore[operator]
    assert (code, errors.strip().splitlines()[-1].count(text)) == (2, 1), errors
    assert not Path("out").exists()


def test_an_interruption_that_a_library_swallows_ends_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def load(self: Session) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Session, "load", load)
    monkeypatch.setattr(Session, "work", lambda _self: pytest.fail("it went on"))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        serve(Explore(model="builtin", out=str(tmp_path / "out")), lambda _link: None)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingLibrary, match=r"pip install 'inverter-vis\[explore\]'"):
        serve(Explore(model="builtin", out=str(tmp_path / "out")), print)


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [
        ({"DISPLAY": ":0"}, True, True),
        ({"WAYLAND_DISPLAY": "w"}, True, True),
        ({"DISPLAY": ":0", "CI": "true"}, True, False),
        ({"DISPLAY": ":0"}, False, False),
        ({}, True, False),
    ],
)
def test_a_browser_opens_where_somebody_sees_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], terminal: bool, expected: bool
) -> None:
    for name in ("CI", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(exploring, "serve", lambda _options, announce: announce("http://here/?token=t"))
    assert exploring.explore(None, model="builtin") == 0
    assert opened == (["http://here/?token=t"] if expected else [])
    exploring.explore(not expected, model="builtin")
    assert len(opened) == 1
