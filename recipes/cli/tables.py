"""Tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from inverter import LayerInfo, Model

NUMBERS = ("calls", "channels", "map", "receptive field")
"""Columns of the table of layers that are aligned to the right."""


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of one form on standard output, under the names of their values; no output where there are none."""
    if not rows:
        return
    from rich.table import Table
    from rich.text import Text

    from inverter.notebook import number

    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, pad_edge=False)
    for name in names:
        numbers = all(isinstance(row.get(name, 0), int | float) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(Text(number(row.get(name))) for name in names))
    _print(table)


def _print(table: Table) -> None:
    """Prints a table as wide as it is: a terminal wraps its lines, and no address is cut off."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200)
    wide = Console(width=10_000).measure(table).maximum
    Console(width=max(console.width, wide)).print(table)


def print_layers(rows: Sequence[LayerInfo]) -> None:
    """The layers of a network on standard output."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, caption="* stages: what --layer all means", caption_justify="left")
    for title in rows[0].cells if rows else ():
        table.add_column(title, justify="right" if title in NUMBERS else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row.cells.values()))
    _print(table)


def print_ends(model: Model, size: tuple[int, int], outputs: Mapping[str, Sequence[int]]) -> None:
    """What the network takes and what it returns, on standard output.

    Args:
        model: the network.
        size: (height, width) of its input.
        outputs: address -> shape of each tensor.
    """
    channels, (low, high), (height, width) = len(model.mean), model.value_range, size
    values = "" if (low, high) == (0, 1) else f", values {low:g} to {high:g}"
    shown = f", shown: {', '.join(map(str, model.show_channels))}" if model.show_channels else ""
    print(f"input: {channels} {'channel' if channels == 1 else 'channels'}, {height}x{width}{values}{shown}")
    returned = ", ".join(f"{name} {'x'.join(map(str, shape[1:])) or '1'}" for name, shape in outputs.items())
    print(f"{'outputs' if len(outputs) > 1 else 'output'}: {returned.removeprefix('output ')}")
