"""What documents and error texts say about installing: the distribution is `inverter-vis`, its import names stay."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMAND = re.compile(r"pip install '?\"?(?P<name>[\w.-]+)\[(?P<extra>[\w,-]+)\]")


def test_the_distribution_has_a_name_of_its_own() -> None:
    assert PROJECT["name"] == "inverter-vis"
    assert PROJECT["scripts"] == {"inverter": "recipes.cli:main"}


def test_every_text_installs_this_distribution_with_an_extra_that_exists() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = 0
    for name in listed.splitlines():
        if not name.endswith((".py", ".md", ".toml", ".js", ".html")) or name == "tests/test_distribution.py":
            continue
        for match in COMMAND.finditer((ROOT / name).read_text(encoding="utf-8")):
            found += 1
            assert match["name"] in ("inverter-vis", "."), f"{name}: {match[0]}"
            for extra in match["extra"].split(","):
                assert extra in PROJECT["optional-dependencies"], f"{name}: {match[0]}"
    assert found > 10


def test_every_file_of_the_packages_is_in_the_wheel() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = [pattern.removesuffix("*") for pattern in tools["packages"]["find"]["include"]]
    listed = subprocess.run(["git", "ls-files", *packages], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    data = {
        path
        for package, patterns in tools["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    for name in listed.splitlines():
        path = ROOT / name
        assert path in data or (path.suffix == ".py" and (path.parent / "__init__.py").is_file()), name
    assert all((ROOT / package / "py.typed") in data for package in packages)
    assert f"{tools['py-modules'][0]}.py" == "inverter_errors.py"
