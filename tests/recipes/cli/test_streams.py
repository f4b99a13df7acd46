"""A command works without standard streams, with broken ones, and in encodings that lack a name's characters."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.cli.streams import usable_streams

CODE = "import sys; from recipes.cli import main; sys.exit(main(sys.argv[1:]))"
GALLERY = "gallery --model builtin --layer features.stem --channels 0 --steps 2 --size 32 --out o"
RUN = f'exec "{sys.executable}" -c "$CODE"'


def shell(line: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env=os.environ | {"CODE": CODE, "PYTHONPATH": str(Path(__file__).parents[3])} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    done = shell(f"{RUN} {GALLERY} {closed}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "o" / "images").rglob("*.png"))) == 1


def test_an_error_stream_that_nobody_reads_does_not_end_a_run(tmp_path: Path) -> None:
    done = shell(f"({RUN.removeprefix('exec ')} {GALLERY}; echo $? > code) 2>&1 >/dev/null | true", tmp_path)
    assert (tmp_path / "code").read_text().strip() == "0", done.stderr
    assert len(list((tmp_path / "o" / "images").rglob("*.png"))) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_names_that_an_encoding_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr("sys.stdout", stream)
    with usable_streams():
        sys.stdout.write("Löwe 狮子 \udcff\n")
    stream.flush()
    assert b"\\udcff" in raw.getvalue()
    assert stream.errors == "strict"
    assert sys.stdout is stream


def test_missing_streams_come_back_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    with usable_streams():
        sys.stdout.write("a")
        sys.stderr.write("b")
    assert sys.stdout is None
    assert sys.stderr is None
