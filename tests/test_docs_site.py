"""The documentation site: generated pages follow the code, and the checks of the built site find what they look for."""

from __future__ import annotations

import argparse
import importlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from recipes import CATALOGUE
from recipes.cli.commands import COMMANDS
from tools.docs.built import faults
from tools.docs.commands import FOLDER, command_pages, command_parsers, option_anchors
from tools.docs.python_names import PACKAGES, public_names, python_pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]


def test_every_public_name_has_an_entry() -> None:
    text = "\n".join(python_pages().values())
    for package in PACKAGES:
        for name in getattr(importlib.import_module(package), "__all__", ()):
            assert f"\n::: {package}.{name}\n" in text, f"{package}.{name}"
    assert set(public_names()["inverter_errors"]) >= {"BadInput", "InverterError", "GuessedSizeWarning"}


def test_every_command_has_a_page_and_every_option_a_heading() -> None:
    pages = command_pages()
    for name in [*(entry.command for entry in CATALOGUE), *(each.name for each in COMMANDS)]:
        assert f"({name}.md)" in pages[f"{FOLDER}/index.md"]
        headings = re.findall(r"^### `(.*?)` { #(\S+) ", pages[f"{FOLDER}/{name}.md"], re.MULTILINE)
        actions = [each for each in command_parsers()[name]._actions if each.help != argparse.SUPPRESS]
        assert [anchor for _, anchor in headings] == option_anchors(command_parsers()[name])
        flags = {flag for each in actions for flag in each.option_strings}
        assert {word for text, _ in headings for word in re.split(r",? ", text) if word.startswith("-")} == flags
        assert len(headings) == len(actions) > 0


def test_an_option_says_its_key_default_and_choices() -> None:
    page = command_pages()[f"{FOLDER}/gallery.md"]
    options = {text.split("`")[1].split(" ")[0]: text for text in page.split("\n### ")[1:]}
    assert "key `seed` · default `0`" in options["--seed"]
    assert "default `false`" in options["--fresh"]
    assert 'default `"channel"` · one of `channel`, `neuron`' in options["--objective"]


def test_the_checks_find_what_is_missing_dead_or_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there"></a><a href="b.html#gone"></a><a href="c.html"></a><a href="https://example.org"></a>'
        '<script src="https://example.org/x.js"></script><img src="//example.org/x.png">'
    )
    (tmp_path / "b.html").write_text('<p id="there"><a href="#there"></a>')
    found = faults(tmp_path)
    assert [line for line in found if line.startswith(("a.html", "b.html"))] == [
        "a.html: loads https://example.org/x.js",
        "a.html: loads //example.org/x.png",
        "a.html: b.html#gone leads to no file or anchor",
        "a.html: c.html leads to no file or anchor",
    ]
    assert "reference/python/inverter.html: no anchor inverter.optimize" in found
    assert "reference/commands/gallery.html: no anchor --layer" in found


@pytest.mark.filterwarnings("default")  # of what mkdocs imports
def test_a_page_from_disk_finds_an_option_and_needs_no_server(tmp_path: Path, browser: Browser) -> None:
    shutil.copytree(ROOT / "docs" / "assets", tmp_path / "docs" / "assets")
    (tmp_path / "docs" / "index.md").write_text("# Start\n\n## `--natural-weight FLOAT`\n\nHow much it counts.\n")
    places = {"docs_dir": str(tmp_path / "docs"), "site_dir": str(tmp_path / "site")}
    build(load_config(str(ROOT / "mkdocs.yml"), hooks=[], nav=None, plugins=["search", "offline"], **places))
    page = browser.new_page()
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.click(".md-search__input")
    page.keyboard.type("--natural-weight")
    page.wait_for_selector(".md-search-result__link")
    assert "natural-weight" in page.locator(".md-search-result__link").last.get_attribute("href")
    assert not [address for address in addresses if not address.startswith(("file:", "data:", "about:"))]
    page.close()
