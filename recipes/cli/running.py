"""Runs a recipe for the command line: progress while it works, and what came of it afterwards."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from inverter_errors import plural
from recipes.runner.base import Recipe

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgress


def run_recipe(recipe: Recipe) -> int:
    """Runs a recipe and prints its report; returns the exit code."""
    from recipes.cli.tables import print_table
    from recipes.runner.progress_bar import clock, shown

    last: list[RunProgress] = []

    def on_progress(update: RunProgress) -> None:
        last[:] = [update]
        if progress is not None:
            progress(update)

    try:
        with shown(recipe.name, noun=recipe.noun) as progress:
            report = recipe.run(on_progress)
    except KeyboardInterrupt as stop:
        if last and last[0].noun is None and not str(stop):
            finished, units = last[0].finished + int(last[0].done), last[0].finished + last[0].units
            print(f"finished in {recipe.out}: {finished} of {plural(units, recipe.noun)}", file=sys.stderr)
        raise
    _print_skipped(report.skipped)
    if report.page is None:
        print_table(report.manifest.table)
        if report.closing:
            print(report.closing)
        written = [report.out / record.file for record in report.records] + list(report.files.values())
        print(f"wrote {' and '.join(map(str, written))}")
        return 0
    made = f"{report.made} made in {clock(report.seconds)}" if report.made else "all were finished already"
    print(f"{plural(len(report.requested), recipe.noun)} in {report.out} ({made})")
    for record in report.failed:
        print(f"{record.file}: {record.status}", file=sys.stderr)
    print_table(report.manifest.table)
    if report.closing:
        print(report.closing)
    print(f"open {report.page}")
    return 0


def _print_skipped(pictures: Mapping[str, str]) -> None:
    """Names the pictures that could not be read, with the reasons, and counts them."""
    for name, reason in pictures.items():
        print(f"skipped {name}: {reason}", file=sys.stderr)
    if len(pictures) > 1:
        print(f"{len(pictures)} pictures could not be read and were skipped", file=sys.stderr)
