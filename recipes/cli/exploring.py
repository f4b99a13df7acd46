"""The command `inverter explore`: its flags, the link that it prints, and the browser that it opens."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from typing import Any

from recipes.cli.flags import add_field
from recipes.explore.explore import Explore, serve


def add_explore(command: argparse.ArgumentParser) -> None:
    """Gives the parser of the command its arguments."""
    for field in fields(Explore):
        add_field(command, field)
    command.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=None,
        dest="opens",
        help="open the link in a browser (default: where there is a display)",
    )


def explore(opens: bool | None, **options: Any) -> int:
    """Runs the server until Ctrl-C."""
    chosen = Explore(**options)

    def announce(link: str) -> None:
        print(f"open {link}", flush=True)
        if chosen.token is not None or chosen.host != Explore.host:
            print("whoever has this link can use the server; the connection is not encrypted", file=sys.stderr)
        if _has_display() if opens is None else opens:
            import webbrowser

            webbrowser.open(link)

    serve(chosen, announce)
    return 0


def _has_display() -> bool:
    """Whether somebody is likely to see a browser that is opened."""
    if os.environ.get("CI") or not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
