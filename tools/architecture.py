"""`python -m tools.architecture`: draws docs/images/architecture.svg from the imports of the code as it stands.

A box is a package; it stands one floor above the highest package that it imports. An arrow is an import; those that
follow from others (A imports B imports C, and A imports C) are left out. A test compares the file with the drawing.
"""

from __future__ import annotations

import ast
import html
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DRAWING = ROOT / "docs" / "images" / "architecture.svg"
PACKAGES = ("objectives", "priors", "inverter", "recipes")
GROUND = "inverter_errors"
BOX, GAP, FLOOR, MARGIN = (132, 34), 14, 84, 24
"""Width and height of a box, the gap between boxes, the height of a floor, and the margin, in pixels."""
COLOURS = {"objectives": "#e7f0d8", "priors": "#fdeccf", "inverter": "#dbe9f7", "recipes": "#eee6f6", GROUND: "#eeeeee"}

Graph = dict[str, set[str]]


def package_of(module: str) -> str:
    """The box of a module: its top-level package, or the package below `recipes`.

    Example:
        >>> package_of("recipes.gallery.page"), package_of("inverter.engine"), package_of("recipes")
        ('recipes.gallery', 'inverter', 'recipes')
    """
    parts = module.split(".")
    if parts[0] == "recipes" and len(parts) > 1 and (ROOT / "recipes" / parts[1]).is_dir():
        return ".".join(parts[:2])
    return parts[0]


def imports(path: Path) -> Iterator[str]:
    """The project's own modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if name.split(".")[0] in (*PACKAGES, GROUND))


def graph() -> Graph:
    """Package -> the packages that it imports."""
    found: Graph = {GROUND: set()}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            box = package_of(module)
            found.setdefault(box, set()).update({package_of(name) for name in imports(path)} - {box})
    return found


def floors(arrows: Mapping[str, set[str]]) -> dict[str, int]:
    """The floor of each package, 1 at the ground.

    Raises:
        RecursionError: for packages that import each other in a circle.

    Example:
        >>> floors({"a": {"b"}, "b": set()})
        {'a': 2, 'b': 1}
    """

    def floor(package: str) -> int:
        return 1 + max((floor(below) for below in arrows[package]), default=0)

    return {package: floor(package) for package in arrows}


def reduced(arrows: Mapping[str, set[str]]) -> Graph:
    """The arrows that do not follow from others.

    Example:
        >>> reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()})["a"]
        {'b'}
    """

    def below(package: str) -> set[str]:
        return set().union(*({each} | below(each) for each in arrows[package]))

    return {package: targets - set().union(*map(below, targets)) for package, targets in arrows.items()}


def draw(arrows: Graph) -> str:
    """The drawing as SVG."""
    level = floors(arrows)
    rows: list[list[str]] = [[] for _ in range(max(level.values()))]
    for package in sorted(arrows):
        rows[level[package] - 1].append(package)
    width = max(len(row) for row in rows) * (BOX[0] + GAP) - GAP + 2 * MARGIN
    height = len(rows) * FLOOR - (FLOOR - BOX[1]) + 2 * MARGIN
    corners: dict[str, tuple[float, float]] = {}
    for floor, row in enumerate(rows):
        left = (width - (len(row) * (BOX[0] + GAP) - GAP)) / 2
        for place, package in enumerate(row):
            corners[package] = left + place * (BOX[0] + GAP), height - MARGIN - BOX[1] - floor * FLOOR
    lines = [_arrow(corners[above], corners[below]) for above in arrows for below in sorted(reduced(arrows)[above])]
    boxes = [_box(package, corners[package]) for package in sorted(arrows)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" font-family="sans-serif" font-size="13" role="img" aria-label="Packages by floor">',
            "<defs>",
            '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
            '<path d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>',
            f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>',
            *lines,
            *boxes,
            "</svg>",
            "",
        ]
    )


def _arrow(above: tuple[float, float], below: tuple[float, float]) -> str:
    start = above[0] + BOX[0] / 2, above[1] + BOX[1]
    end = below[0] + BOX[0] / 2, below[1] - 1
    bend = (end[1] - start[1]) / 2
    points = (*start, start[0], start[1] + bend, end[0], end[1] - bend, *end)
    path = "M{:g} {:g}C{:g} {:g} {:g} {:g} {:g} {:g}".format(*points)
    return f'<path d="{path}" fill="none" stroke="#999" marker-end="url(#head)"/>'


def _box(package: str, corner: tuple[float, float]) -> str:
    name = "catalogue" if package == "recipes" else package.removeprefix("recipes.")
    fill = COLOURS[package.split(".")[0]]
    x, y = corner
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{BOX[0]}" height="{BOX[1]}" rx="5" fill="{fill}" stroke="#666"/>'
        f'<text x="{x + BOX[0] / 2:g}" y="{y + BOX[1] / 2 + 4.5:g}" text-anchor="middle">{html.escape(name)}</text>'
    )


if __name__ == "__main__":
    DRAWING.write_text(draw(graph()), encoding="utf-8")
    sys.stdout.write(f"wrote {DRAWING.relative_to(ROOT)}\n")
