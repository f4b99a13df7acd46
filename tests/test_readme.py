"""Every command and every example of the README runs, as printed, in an empty folder."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from recipes.cli.entry import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_run(empty_folder: Path) -> None:
    (text,) = blocks("sh")
    lines = text.splitlines()
    assert len(lines) == 2
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "inverter"
        assert main(arguments) == 0, line
        out = empty_folder / line.split("--out ")[1]
        assert (out / "index.html").is_file()
        assert list(out.glob("images/*/*.png"))


def test_the_five_lines_run(empty_folder: Path) -> None:
    (text,) = blocks("python")
    assert len(list(filter(None, text.splitlines()))) == 5
    names: dict[str, object] = {}
    exec(compile(text, "README.md", "exec"), names)
    assert tuple(names["result"].images.shape) == (3, 3, 128, 128)  # type: ignore[attr-defined]
    assert len(list((empty_folder / "pictures").glob("*.png"))) == 3


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 90


def test_its_pictures_and_pages_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README):
        assert (ROOT / target).is_file(), target
