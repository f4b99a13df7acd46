"""The gallery's page as a document, without a browser."""

import ast
import base64
import hashlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from recipes.gallery.page import render_gallery
from recipes.pages import html as page_module
from recipes.pages import manifest_view as view_module
from recipes.pages.html import picture_url


@pytest.mark.parametrize("module", [page_module, view_module])
def test_a_page_needs_only_the_standard_library(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    own = {"recipes.pages.manifest_view", "recipes.outputs.vocabulary", "inverter_errors"}  # they import no others
    assert {str(name).split(".")[0] for name in names - own} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    "manifest",
    [{}, {"units": []}, {"units": [{"layer": "a"}], "planned": 3, "settings": {"layer": "all", "size": [96, 128]}}],
)
def test_a_sparse_manifest_still_gives_a_page(manifest: dict[str, Any]) -> None:
    page = render_gallery(manifest)
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")


@pytest.mark.parametrize(
    ("file", "url"),
    [
        ("images/features.9/0003.png", "images/features.9/0003.png"),
        ("images/a b#1?%/0003.png", "images/a%20b%231%3F%25/0003.png"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("images/\udcff.png", "images/%FF.png"),
        ("../elsewhere.png", None),
        ("/etc/picture.png", None),
        ("//host/picture.png", None),
        ("", None),
        (None, None),
    ],
)
def test_picture_url(file: str | None, url: str | None) -> None:
    assert picture_url(file) == url


def test_the_policy_allows_this_style_and_these_scripts_alone() -> None:
    page = render_gallery({"units": []})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    parts = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", page, flags=re.DOTALL)
    assert len(parts) == 12
    for part in parts:
        assert base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() in policy[1]
    assert not re.search(r"<[^>]*\son\w+=|<[^>]*\sstyle=|https?://(?!www\.w3\.org/2000/svg)", page)


def test_values_that_a_script_cannot_hold() -> None:
    units = [{"layer": "a", "channel": 0, "seed": 2**63, "score": float("nan")}, {"layer": "a\udcff", "name": "\udcff"}]
    page = render_gallery({"units": units, "title": "\udcff"})
    assert '"seed":"9223372036854775808"' in page
    assert '"score":null' in page
    page.encode("utf-8")


def test_the_layers_follow_the_settings() -> None:
    units = [{"layer": layer, "channel": 0} for layer in ("c", "x", "a", "b")]
    page = render_gallery({"units": units, "settings": {"layer": ["a", "never", "b", "c"]}})
    assert '"layers":["a","b","c","x"]' in page
