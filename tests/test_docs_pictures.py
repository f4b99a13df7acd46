"""Every picture of the documentation says which script made it."""

import re
from pathlib import Path

import pytest

from recipes.cli.arguments import parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "docs").glob("**/*.md")), ROOT / "BENCHMARKS.md"]
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]*images/[^)]+)\)")
MADE_BY = re.compile(r"`(?:inverter (?P<command>[a-z-]+)|python (?:-m (?P<module>[\w.]+)|(?P<file>\S+\.py)))")

ALL = "The pictures are drawn by "
"""What a page says that names one script for all of its pictures."""


def captions(page: Path) -> list[tuple[str, str]]:
    """The pictures of a page, each with its own paragraph and the next."""
    paragraphs = re.split(r"\n\s*\n", page.read_text(encoding="utf-8"))
    return [
        ((page.parent / match[1]).resolve().relative_to(ROOT).as_posix(), " ".join(paragraphs[i : i + 2]))
        for i, text in enumerate(paragraphs)
        for match in PICTURE.finditer(text)
    ]


def is_there(match: re.Match[str]) -> bool:
    """Whether the command or script that a caption names exists."""
    if match["command"]:
        return match["command"] in str(parser().format_help())
    if match["file"]:
        return (ROOT / match["file"]).is_file()
    place = ROOT / match["module"].replace(".", "/")
    return place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()


@pytest.mark.parametrize("page", [page for page in PAGES if captions(page)], ids=lambda page: page.name)
def test_a_caption_names_the_script(page: Path) -> None:
    for_all = page.read_text(encoding="utf-8").partition(ALL)[2]
    for picture, text in captions(page):
        assert (ROOT / picture).is_file(), picture
        made_by = MADE_BY.search(" ".join(text.split())) or MADE_BY.match(for_all)
        assert made_by, f"{picture}: name the script that made it"
        assert is_there(made_by), f"{picture}: there is no {made_by[0]}"
