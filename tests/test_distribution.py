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
