"""The shape of the code: imports run downward, folders stay small, and only the command line speaks."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes import CATALOGUE, Entry
from recipes.cli.arguments import parse
from recipes.runner.base import Recipe
from tools.architecture import DRAWING, draw, floors, graph

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "objectives": set(),
    "priors": set(),
    "inverter": {"objectives", "priors"},
    "recipes": {"objectives", "priors", "inverter"},
}
SPEAKERS = {
    "recipes/cli/arguments.py",
    "recipes/cli/commands.py",
    "recipes/cli/entry.py",
    "recipes/cli/exploring.py",
    "recipes/cli/flags.py",
    "recipes/cli/running.py",
    "recipes/cli/tables.py",
    "recipes/runner/progress_bar.py",
}


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, package
    return found


def imports(path: Path) -> Iterator[str]:
    """All modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            yield node.module or ""


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_none_above_it(package: str) -> None:
    forbidden = set(PACKAGES) - PACKAGES[package] - {package}
    for path in sources(package):
        assert not {name.split(".")[0] for name in imports(path)} & (forbidden | {"tests", "benchmarks"}), path


def test_arguments_and_terminals_are_the_command_lines_business() -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sources(package)
        if {name.split(".")[0] for name in imports(path)} & {"rich", "argparse"}
    }
    assert users <= SPEAKERS


def test_no_library_code_prints() -> None:
    for package in PACKAGES:
        for path in sources(package):
            if path.relative_to(ROOT).as_posix() in SPEAKERS:
                continue
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            assert not [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], path


def test_no_except_clause_is_bare() -> None:
    for package in PACKAGES:
        for path in sources(package):
            handlers = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
            assert not [handler.lineno for handler in handlers if handler.type is None], path


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *(
            [command, "--help"]
            for command in (
                "gallery",
                "invert",
                "inpaint",
                "patches",
                "explain",
                "judge-maps",
                "run",
                "layers",
                "explore",
            )
        ),
    ],
)
def test_help_does_not_wait_for_torch(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom recipes.cli.entry import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'torchvision', 'kornia', 'PIL', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: inverter")
    assert done.stderr == ""


def test_the_drawing_of_the_architecture_is_that_of_the_imports() -> None:
    up_to_date = DRAWING.read_text(encoding="utf-8") == draw(graph())
    assert up_to_date, "run python -m tools.architecture"
    assert "images/architecture.svg" in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_floors_have_no_circle_and_the_recipes_stand_above_what_they_share() -> None:
    level = floors(graph())
    assert level["inverter_errors"] < level["objectives"] == level["priors"] < level["inverter"]
    assert max(level, key=level.__getitem__) == "recipes.cli"
    assert all(level[package] >= level["inverter"] for package in level if package.startswith("recipes"))


def test_folders_stay_small() -> None:
    assert len(list((ROOT / "recipes").glob("*.py"))) <= 4
    for folder in {path.parent for path in sources("recipes")}:
        assert len(list(folder.glob("*.py"))) <= 15, f"{folder}: divide it by what a reader looks for"


def test_every_recipe_is_in_the_catalogue_and_every_entry_is_a_recipe() -> None:
    defined = {
        f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}.{node.name}"
        for path in sources("recipes")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
        and any(
            isinstance(each, ast.AnnAssign) and getattr(each.target, "id", "") == "name" and each.value
            for each in node.body
        )
        and any(
            isinstance(base, ast.Name) and base.id.endswith(("Recipe", "PhotoIcons", "Patches", "DatasetFields"))
            for base in node.bases
        )
    }
    assert defined == {f"{entry.module}.{entry.class_name}" for entry in CATALOGUE}
    for entry in CATALOGUE:
        recipe = entry.load()
        assert issubclass(recipe, Recipe)
        assert recipe.name == entry.command
        assert entry.example.startswith(f"inverter {entry.command} ")


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.command)
def test_the_example_of_a_command_can_be_parsed(entry: Entry) -> None:
    options = parse(entry.example.split()[1:])
    assert options.pop("command") == entry.command
    entry.load()(**options)
