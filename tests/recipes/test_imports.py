"""The shape of the house: imports run downward, public names are pinned, and only the command line speaks."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "objectives": set(),
    "priors": set(),
    "inverter": {"objectives", "priors"},
    "recipes": {"objectives", "priors", "inverter"},
}
PUBLIC = {
    "objectives": (
        "Activations DISTANCES OUTPUT Objective channel code direction diverse diversity known_pixels layer logit neuron "
        "softmax"
    ),
    "priors": "Fourier Pixels Prior alpha_norm l2 total_variation",
    "inverter": (
        "Augment BadInput BadType Code Inversion InverterError LayerInfo LayerNotFound MissingFile MissingLibrary "
        "Model NotFound OutOfMemory PRESETS Progress ProgressCallback ReceptiveField RunFailed Settings Unreachable "
        "__version__ encode evaluate layers list_layers list_models load_code load_model no_network optimize "
        "receptive_fields stages to_pil"
    ),
    "recipes": "Explain Gallery Inpaint Invert JudgeMaps Patches",
}
SPEAKERS = {
    "recipes/cli/arguments.py",
    "recipes/cli/main.py",
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


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_names_are_there_and_can_be_imported(package: str) -> None:
    module = importlib.import_module(package)
    assert set(PUBLIC[package].split()) <= set(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Galery"):
        importlib.import_module("recipes").Galery  # noqa: B018


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
            if (name := path.relative_to(ROOT).as_posix()) in SPEAKERS:
                continue
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            assert not [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], path


def test_no_error_is_swallowed_whole() -> None:
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
            for command in ("gallery", "invert", "inpaint", "patches", "explain", "judge-maps", "run", "layers")
        ),
    ],
)
def test_help_does_not_wait_for_torch(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom recipes.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'torchvision', 'kornia', 'PIL', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: inverter")
    assert done.stderr == ""
