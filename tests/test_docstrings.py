"""Docstrings that tools can read: one argument a line, and public functions that document all of theirs."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("objectives", "priors", "inverter", "recipes")
SECTION = re.compile(r"^\s*(Args|Attributes|Raises):$")
SEVERAL = re.compile(r"^\s+[*\w]+(, [*\w]+)+:\s")
ENTRY = re.compile(r"(?<=[.;] )([a-z_]+): ")


def docstrings(path: Path) -> Iterator[tuple[str, str, set[str]]]:
    """The docstrings of a file: where, the text, and the names of parameters or fields that it may document."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.ClassDef):
            names = {
                each.target.id
                for each in node.body
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            }
        else:
            arguments = node.args
            names = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        if text := ast.get_docstring(node):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", text, names


def sections(text: str) -> Iterator[str]:
    """The lines of the sections that list arguments, attributes and errors."""
    inside, depth = False, 0
    for line in text.splitlines():
        if SECTION.match(line):
            inside, depth = True, len(line) - len(line.lstrip())
        elif line.strip() and len(line) - len(line.lstrip()) <= depth:
            inside = False
        elif inside:
            yield line


@pytest.mark.parametrize("package", PACKAGES)
def test_a_section_has_one_argument_a_line(package: str) -> None:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for where, text, names in docstrings(path):
            for line in sections(text):
                crowded = SEVERAL.match(line) or any(match[1] in names for match in ENTRY.finditer(line))
                found += [f"{where}: {line.strip()}"] if crowded else []
    assert not found, "\n".join(found[:40])


@pytest.mark.parametrize("package", PACKAGES)
def test_public_functions_document_every_argument(package: str) -> None:
    module = importlib.import_module(package)
    found = []
    for name in module.__all__:
        function = getattr(module, name)
        if not inspect.isfunction(function):
            continue
        text = inspect.getdoc(function) or ""
        missing = [
            each
            for each in inspect.signature(function).parameters
            if not re.search(rf"^    \*{{0,2}}{each}: ", text, re.MULTILINE)
        ]
        if missing or (inspect.signature(function).return_annotation is not None and "Returns:" not in text):
            found.append(f"{package}.{name}: {', '.join(missing) or 'Returns'}")
    assert not found, "\n".join(found)
