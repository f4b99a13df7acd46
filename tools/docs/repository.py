"""What the site shows of the repository outside `docs/`: pages of its root, and files that pages link to."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"BENCHMARKS.md": "benchmarks.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Files of the repository that are pages of the site, by the path of the page."""
_LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")


def pages() -> dict[str, str]:
    """The pages of the repository's root: text by path."""
    return {page: (ROOT / file).read_text(encoding="utf-8") for file, page in PAGES.items()}


def linked_files() -> dict[str, Path]:
    """The files outside `docs/` that its pages link to and that are no pages themselves, by their path in the site."""
    found, docs = {}, ROOT / "docs"
    texts = {path.relative_to(docs).as_posix(): path.read_text(encoding="utf-8") for path in docs.rglob("*.md")}
    for page, text in {**texts, **pages()}.items():
        for match in _LINK.finditer(text):
            file = _target(page, match[2])
            if file is not None and (place := place_of(file)).startswith("repository/"):
                found[place] = ROOT / file
    return found


def relinked(text: str, page: str) -> str:
    """The text of a page with links to what the site has of the repository.

    Args:
        text: Markdown.
        page: its path in the site.

    Example:
        >>> relinked("[how fast](../BENCHMARKS.md#galleries) [more](layers.md)", "gpu.md")
        '[how fast](benchmarks.md#galleries) [more](layers.md)'
        >>> relinked("[priors](docs/priors.md)", "benchmarks.md")
        '[priors](priors.md)'
    """

    def new(match: re.Match[str]) -> str:
        file = _target(page, match[2])
        if file is None:
            return match[0]
        link = os.path.relpath(place_of(file), Path(page).parent)
        return f"{match[1]}{link}{match[3] or ''}{match[4]}"

    return _LINK.sub(new, text)


def place_of(file: str) -> str:
    """Where the site has a file of the repository.

    Example:
        >>> place_of("docs/gpu.md"), place_of("README.md"), place_of("examples/gallery.toml")
        ('gpu.md', 'index.md', 'repository/examples/gallery.toml')
    """
    if file == "README.md":
        return "index.md"
    return PAGES.get(file) or (file.removeprefix("docs/") if file.startswith("docs/") else f"repository/{file}")


def _target(page: str, link: str) -> str | None:
    """The file of the repository that a page's link names; None for links that need no change."""
    origin = next((file for file, place in PAGES.items() if place == page), None)
    folder = ROOT if origin else (ROOT / "docs" / page).parent
    target = Path(os.path.normpath(folder / link))
    inside = not origin and target.is_relative_to(ROOT / "docs")
    if inside or not target.is_relative_to(ROOT) or not target.is_file():
        return None
    return target.relative_to(ROOT).as_posix()
