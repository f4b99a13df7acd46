"""The navigation: an entry of `nav` with a `*` stands for the pages that match it and that no other entry names."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any


def filled(nav: Any, pages: list[str]) -> Any:
    """The navigation with all patterns filled, and without sections that are empty.

    Args:
        nav: as in mkdocs.yml: texts, lists, and dictionaries of one entry.
        pages: source paths of all pages.

    Returns:
        The same structure with the pages' paths, sorted by name, each folder's `index.md` first.

    Example:
        >>> nav = [{"Start": "index.md"}, {"More": ["a/*.md", "*.md"]}, {"None": "b/*.md"}]
        >>> filled(nav, ["index.md", "c.md", "a/d.md"])
        [{'Start': 'index.md'}, {'More': ['a/d.md', 'c.md']}]
    """
    named = {each for each in _texts(nav) if "*" not in each}
    free = sorted(set(pages) - named, key=lambda path: (PurePosixPath(path).name != "index.md", path))
    return _filled(nav, free)


def _texts(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [text for each in (nav.values() if isinstance(nav, dict) else nav) for text in _texts(each)]


def _filled(nav: Any, free: list[str]) -> Any:
    if isinstance(nav, str):
        return [each for each in free if _matches(each, nav)] if "*" in nav else nav
    if isinstance(nav, dict):
        return {title: inner for title, each in nav.items() if (inner := _filled(each, free))}
    found = []
    for each in nav:
        inner = _filled(each, free)
        found += inner if isinstance(inner, list) else [inner] if inner else []
    return found


def _matches(path: str, pattern: str) -> bool:
    """Whether a path matches, where a `*` does not cross folders."""
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)
