"""Checks of the built site: it is complete, its links lead somewhere, and it needs no other server."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.docs.commands import FOLDER as COMMANDS
from tools.docs.commands import command_parsers, option_anchors
from tools.docs.python_names import FOLDER as PYTHON
from tools.docs.python_names import public_names

_LOADED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "script": "src",
    "source": "src",
    "video": "src",
}
"""Elements that load a file by themselves, with the attribute that names it."""


class Html(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each element."""
        values = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := values.get(name))}
        if tag == "a" and (link := values.get("href")):
            self.links.append(link)
        if link := values.get(_LOADED.get(tag, "")):
            self.loaded.append(link)


def faults(site: Path) -> list[str]:
    """What is wrong with a site, one line each.

    Args:
        site: folder that mkdocs has written.
    """
    pages = {path.relative_to(site).as_posix(): Html(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [*_missing(pages)]
    for name, page in pages.items():
        if name == "404.html":  # a server's answer, with the addresses of a server
            continue
        found += [f"{name}: loads {link}" for link in page.loaded if urlsplit(link).netloc]
        dead = [link for link in page.links + page.loaded if _dead(site, pages, name, link)]
        found += [f"{name}: {link} leads to no file or anchor" for link in dead]
    return found


def _missing(pages: dict[str, Html]) -> Iterator[str]:
    """The names and options of the code that have no anchor."""
    expected = {f"{PYTHON}/{package}.html": names for package, names in public_names().items()}
    for package, names in public_names().items():
        where = "inverter" if package == "inverter_errors" else package
        expected[f"{PYTHON}/{package}.html"] = [f"{where}.{name}" for name in names]
    for command, parser in command_parsers().items():
        expected[f"{COMMANDS}/{command}.html"] = option_anchors(parser)
    for name, anchors in expected.items():
        there = pages[name].anchors if name in pages else set()
        yield from (f"{name}: no anchor {each}" for each in anchors if each not in there)


def _dead(site: Path, pages: dict[str, Html], name: str, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    target = (site / name).parent / unquote(parts.path) if parts.path else site / name
    if not target.is_file():
        return True
    page = pages.get(target.resolve().relative_to(site.resolve()).as_posix())
    return bool(parts.fragment and page) and unquote(parts.fragment) not in page.anchors | {"__tabbed"}
