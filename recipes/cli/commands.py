"""The commands that are no recipes: what each takes, and what it does. Help texts do not wait for torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from inverter_errors import BadInput, plural
from recipes.cli.exploring import add_explore, explore
from recipes.cli.flags import add_field
from recipes.cli.recipe_file import load_recipe
from recipes.cli.running import run_recipe
from recipes.options.input_values import checked_size
from recipes.runner.recipe import NetworkRecipe

FAILED = 1
"""Exit code."""
_OF_LAYERS = (
    "model",
    "weights",
    "normalize",
    "input_size",
    "categories",
    "axes",
    "value_range",
    "directions",
    "size",
    "device",
)


class Command(NamedTuple):
    """A command that is no recipe.

    Attributes:
        name: of the command.
        usage: what follows its name.
        help: one line of `inverter --help`.
        example: a command that works, for the end of its help.
        add: gives its parser the arguments.
        run: does it with their values, and returns the exit code.
    """

    name: str
    usage: str
    help: str
    example: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[..., int]


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", help='TOML file: recipe = "gallery", model = ..., layer = ..., out = ...')
    command.add_argument(
        "--set",
        action="append",
        default=argparse.SUPPRESS,
        dest="changes",
        metavar="KEY=VALUE",
        help="key of the file with another value, written as in TOML, e.g. steps=16 or prior=pixels; may be repeated",
    )
    command.add_argument("--out", default=argparse.SUPPRESS, help="output folder, instead of the file's")
    command.add_argument("--fresh", action="store_true", default=argparse.SUPPRESS, help="start over")


def _run_file(file: str, changes: Sequence[str] = (), **overrides: Any) -> int:
    return run_recipe(load_recipe(file, changes, **overrides))


def _add_layers(command: argparse.ArgumentParser) -> None:
    for field in fields(NetworkRecipe):
        if field.name in _OF_LAYERS:
            add_field(command, field)


def _layers(size: str | None = None, **options: Any) -> int:
    from inverter import layers, load_model
    from inverter.layer_info import outputs
    from priors.base import as_size
    from recipes.cli.tables import print_ends, print_layers
    from recipes.options.directions import with_sets
    from recipes.options.networks import networks

    side = checked_size(size)
    shown = None if side is None else as_size(side)
    options |= networks(options)
    directions = options.pop("directions", None)
    loaded = with_sets(load_model(options.pop("model", "builtin"), **options).assuming(shown), directions)
    print_layers(layers(loaded, shown))
    print_ends(loaded, loaded.size_for(shown), outputs(loaded, shown))
    return 0


def _add_repeat(command: argparse.ArgumentParser) -> None:
    command.add_argument("manifest", help="OUT/manifest.json")
    command.add_argument("--unit", required=True, help="LAYER/CHANNEL, or a picture's file as in the manifest")
    command.add_argument("--weights", help="weights file, if it is no longer where it was")
    command.add_argument("--device", help="other than the run's")


def _repeat(manifest: str, unit: str, weights: str | None, device: str | None) -> int:
    from recipes.cli.repeat import repeat
    from recipes.runner.progress_bar import shown

    with shown("repeat") as progress:
        found = repeat(manifest, unit, weights=weights, device=device, progress=progress)
    for each in found:
        print(f"{each.file}: {'the same' if each.same else each.difference}")
    if all(each.same for each in found):
        return 0
    changes = found[0].changes
    print(f"not the same; since then: {'; '.join(changes) if changes else 'no version here has changed'}")
    return FAILED


_UNITS = "LAYER, LAYER/CHANNELS such as features.9/0-7, a class, or a picture's file; may be repeated (default: all)"


def _add_figure(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="OUT", help="output folder of a run")
    command.add_argument("--units", action="append", default=[], help=_UNITS)
    command.add_argument("--columns", type=int, help="pictures side by side (default: by their number, at most 8)")
    command.add_argument("--width", type=float, help="of the figure in centimetres (default: 17)")
    command.add_argument("--out", default="figure.pdf", help="file: .pdf, .svg or .png (default: figure.pdf)")


def _figure(folder: str, units: Sequence[str], columns: int | None, width: float | None, out: str) -> int:
    from inverter.figure import WIDTH, check_path
    from recipes.papers.figure import write_figure
    from recipes.papers.finished_run import manifest_of, select

    place, manifest = manifest_of(folder)
    check_path(Path(out))
    count = write_figure(Path(out), place, select(manifest, units), columns, WIDTH if width is None else width)
    print(f"wrote {out} ({plural(count, 'picture')})")
    return 0


def _add_sheet(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="OUT", help="output folder of a run")
    command.add_argument("--units", action="append", default=[], help=_UNITS)
    command.add_argument("--out", default="sheet.png", help="file: .png (default: sheet.png)")


def _sheet(folder: str, units: Sequence[str], out: str) -> int:
    from recipes.outputs.summaries import write_sheet
    from recipes.papers.finished_run import manifest_of, select

    if Path(out).suffix.lower() != ".png":
        raise BadInput(f"sheet {out!r}: expected a file that ends in .png")
    place, manifest = manifest_of(folder)
    records = select(manifest, units)
    write_sheet(Path(out), place, manifest, records)
    print(f"wrote {out} ({plural(len(records), 'picture')})")
    return 0


def _add_table(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="OUT", help="output folder of a run")
    command.add_argument("--units", action="append", default=[], help=_UNITS)
    command.add_argument(
        "--column",
        action="append",
        default=[],
        dest="columns",
        help="a field or metric, such as layer, score or percentile; may be repeated (default: the usual ones)",
    )
    command.add_argument("--out", help="file: .csv, .tex (booktabs) or .parquet (default: prints the table)")


def _table(folder: str, units: Sequence[str], columns: Sequence[str], out: str | None) -> int:
    from recipes.cli.tables import print_table
    from recipes.papers.finished_run import manifest_of, select
    from recipes.papers.tables import chosen, write_table

    records = select(manifest_of(folder)[1], units)
    if out is None:
        print_table(chosen(records, columns))
    else:
        write_table(Path(out), records, columns)
        print(f"wrote {out} ({plural(len(records), 'row')})")
    return 0


def _add_cite(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="OUT", help="output folder of a run")
    command.add_argument("--out", help="file: .bib (default: prints the entries)")


def _cite(folder: str, out: str | None) -> int:
    from recipes.outputs.atomic import write_text
    from recipes.papers.citations import as_bibtex
    from recipes.papers.finished_run import manifest_of

    entries = as_bibtex(manifest_of(folder)[1])
    if out is None:
        print(entries, end="")
    else:
        write_text(Path(out), entries)
        print(f"wrote {out}")
    return 0


COMMANDS = (
    Command(
        "explore",
        "[OPTIONS]",
        "Walk through a network in a browser: its pictures are made while you look.",
        "inverter explore --model torchvision:squeezenet1_0 --images FOLDER --out explore",
        add_explore,
        explore,
    ),
    Command(
        "run",
        "FILE [OPTIONS]",
        "Run a recipe from a TOML file, whose keys are the recipe's flags.",
        "inverter run examples/gallery.toml --out gallery",
        _add_run,
        _run_file,
    ),
    Command(
        "layers",
        "[OPTIONS]",
        "List a network's layers: address, type, channels, map, receptive field.",
        "inverter layers --model torchvision:squeezenet1_0",
        _add_layers,
        _layers,
    ),
    Command(
        "repeat",
        "MANIFEST --unit UNIT [OPTIONS]",
        "Make pictures of a run again, and say whether they are the same (exit code 0) or not (1).",
        "inverter repeat gallery/manifest.json --unit features.9/3",
        _add_repeat,
        _repeat,
    ),
    Command(
        "figure",
        "OUT [OPTIONS]",
        "A labelled figure of units of a run, for a paper: PDF, SVG or PNG.",
        "inverter figure gallery --units features.9/0-7 --columns 4 --out fig.pdf",
        _add_figure,
        _figure,
    ),
    Command(
        "sheet",
        "OUT [OPTIONS]",
        "A contact sheet of units of a run.",
        "inverter sheet gallery --units features.9 --out sheet.png",
        _add_sheet,
        _sheet,
    ),
    Command(
        "table",
        "OUT [OPTIONS]",
        "The table of a run: printed, or as CSV, LaTeX or Parquet.",
        "inverter table gallery --column layer --column channel --column score --out table.tex",
        _add_table,
        _table,
    ),
    Command(
        "cite",
        "OUT [OPTIONS]",
        "BibTeX of the methods that a run used.",
        "inverter cite gallery --out methods.bib",
        _add_cite,
        _cite,
    ),
)
"""In the order of the help text, after the recipes."""
