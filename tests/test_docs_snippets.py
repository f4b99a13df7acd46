"""Every snippet of the documentation is run, or at least parsed.

- Start, tutorials, how-to and science pages: fenced `python` and `sh` blocks run in order, in one empty folder for each
  page, with two steps and small pictures in place of those printed. A block with `title="FILE"` is that file. PHOTO,
  PHOTOS and weights are given.
- All pages, README and BENCHMARKS: each `inverter` command in a code block is parsed, and its recipe is made, so that
  options and their values exist (of a command with `...`, its options alone). Python blocks are compiled, and what they
  import from the project exists.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import squeezenet1_0

from recipes import find_recipe
from recipes.cli.arguments import parse
from recipes.cli.entry import main
from tools.docs.commands import command_parsers

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
RUN = [DOCS / "index.md", *sorted((DOCS / "tutorials").glob("*.md")), *sorted((DOCS / "howto").glob("*.md"))]
RUN += [DOCS / "papers.md", DOCS / "usage.md", *sorted((DOCS / "science").glob("*.md"))]
PAGES = [*sorted(DOCS.glob("**/*.md")), ROOT / "README.md", ROOT / "BENCHMARKS.md"]
FENCED = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?: {4}.*\n|\n(?= {4}))+)")
SHORT = {"--steps": "2", "--size": "64", "--grid": "2"}
"""Options that every command gets which has them."""
PROJECT = ("inverter", "inverter_errors", "objectives", "priors", "recipes")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """The fenced blocks of a page: language, what follows it, text."""
    return FENCED.findall(page.read_text(encoding="utf-8"))


def commands(page: Path) -> list[list[str]]:
    """The arguments of every `inverter` command in a code block of a page."""
    text = page.read_text(encoding="utf-8")
    code = [body for _, _, body in FENCED.findall(text)] + INDENTED.findall(FENCED.sub("\n", text))
    lines = "\n".join(code).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if re.match(r"\s*inverter [a-z]", line)]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples, PHOTO, PHOTOS and weights."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "PHOTOS").mkdir()
    with Image.open(ROOT / "examples" / "pictures" / "fish.jpg") as picture:
        picture.save(tmp_path / "PHOTO", format="jpeg")
        for index in range(6):
            corner = (8 * index, 5 * index)
            picture.crop((*corner, corner[0] + 96, corner[1] + 96)).save(tmp_path / "PHOTOS" / f"{index}.png")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_file(squeezenet1_0().state_dict(), tmp_path / "my_weights.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("default")  # of libraries that a layout imports
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_snippets_of_a_page_run_in_order(page: Path, prepared: Path) -> None:
    names: dict[str, object] = {}
    before = set(sys.modules)
    for language, title, text in blocks(page):
        if language == "sh":
            for line in text.replace("\\\n", " ").splitlines():
                run(shlex.split(line, comments=True))
        elif language == "python":
            if name := re.search(r'title="(.+?)"', title):
                (prepared / name[1]).write_text(text, encoding="utf-8")
            exec(compile(re.sub(r"steps=\d+", "steps=2", text), str(page), "exec"), names)
    for name in set(sys.modules) - before:  # the page's own files
        if Path(getattr(sys.modules[name], "__file__", None) or os.sep).parent == prepared:
            del sys.modules[name]


def run(words: list[str]) -> None:
    program, command, *arguments = words
    assert program == "inverter"
    known = command_parsers()[command]._option_string_actions
    short = [word for flag, value in SHORT.items() if flag in known for word in (flag, value)]
    assert main([command, *arguments, *short]) == 0, words


@each_page
def test_every_command_can_be_parsed(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(page):
        if "..." in words:
            known = command_parsers()[words[0]]._option_string_actions
            assert not [word for word in words if word.startswith("--") and word.split("=")[0] not in known], words
            continue
        try:
            options = parse(words)
        except SystemExit:
            pytest.fail(f"{' '.join(words)}: {capsys.readouterr().err}")
        if recipe := find_recipe(options.pop("command")):
            recipe(**options)


@each_page
def test_python_compiles_and_its_imports_exist(page: Path) -> None:
    for language, _, text in blocks(page):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PROJECT:
                module = importlib.import_module(node.module or "")
                assert not [alias.name for alias in node.names if not hasattr(module, alias.name)], text


def test_there_are_snippets_of_every_kind() -> None:
    assert len(RUN) >= 5
    assert sum(len(commands(page)) for page in PAGES) > 100
    assert {language for page in RUN for language, _, _ in blocks(page)} >= {"python", "sh"}
