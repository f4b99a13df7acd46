"""The command line: the only place that parses arguments, prints, and turns errors into one line."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, NoReturn

from recipes.cli.recipe_file import RECIPES, Known, kind, load_recipe
from recipes.deepdream.deepdream import DeepDream
from recipes.gallery.patches import Patches
from recipes.options.fields import LARGEST, check_whole, key_of
from recipes.runner.recipe import AnyRecipe, Recipe

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgress

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of the machine, and none of the user: a disk that is full, over its quota, or broken."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from inverter import __version__  # only when asked for: it waits for torch

        print(f"inverter {__version__}")
        parser.exit()


def _add_recipe(parser: argparse.ArgumentParser, recipe: type[Known]) -> None:
    for field in fields(recipe):
        if field.metadata.get("hidden"):
            continue  # it says nothing to this recipe
        flag = "--" + key_of(field).replace("_", "-")
        default = "" if field.default in (None, MISSING, False, ()) else f" (default: {field.default})"
        help_text = (field.metadata["help"] + default).replace("%", "%%")
        if kind(field) is bool:
            parser.add_argument(flag, action="store_true", help=help_text)
            continue
        parser.add_argument(
            flag,
            type=kind(field),
            action="append" if field.metadata.get("repeat") else "store",
            choices=field.metadata.get("choices"),
            metavar=None if field.metadata.get("choices") else kind(field).__name__.upper().replace("STR", "TEXT"),
            default=argparse.SUPPRESS,
            required=field.default is MISSING,
            dest=field.name,
            help=help_text,
        )


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = _Parser(prog="inverter", description="Ask a trained vision network what it sees, by optimising pictures.")
    root.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="show the version and exit"
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, recipe in RECIPES.items():
        about = (recipe.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=about, description=about)
        _add_recipe(command, recipe)
    command = commands.add_parser("run", help="Run a recipe from a TOML file, whose keys are the recipe's flags.")
    command.add_argument("file", help='TOML file: recipe = "gallery", model = ..., layer = ..., out = ...')
    command.add_argument("--out", default=argparse.SUPPRESS, help="output folder, instead of the file's")
    command.add_argument("--fresh", action="store_true", default=argparse.SUPPRESS, help="start over")
    command = commands.add_parser(
        "layers", help="List a network's layers: address, type, channels, map, receptive field."
    )
    for field in fields(Recipe):
        if field.name in ("model", "weights", "normalize", "size", "device"):
            command.add_argument(
                f"--{field.name}", type=kind(field), default=field.default, help=field.metadata["help"]
            )
    command = commands.add_parser(
        "statistics", help="Measure the colour and spectrum statistics of a folder of pictures."
    )
    command.add_argument("--images", required=True, help="folder of pictures")
    command.add_argument("--out", required=True, help="file to write, e.g. statistics.json")
    command.add_argument("--channels", type=int, default=3, help="1 for grey, 3 for colour (default: 3)")
    command.add_argument("--source", default="", help="what the pictures are, for people (default: the folder's name)")
    command = commands.add_parser(
        "repeat",
        help="Make pictures of a run again and say whether they are the same (exit code 0) or not (1).",
    )
    command.add_argument("manifest", help="OUT/manifest.json")
    command.add_argument("--unit", required=True, help="LAYER/CHANNEL, or a picture's file as in the manifest")
    command.add_argument("--weights", help="weights file, if it is no longer where it was")
    command.add_argument("--device", help="other than the run's")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 for a failure, 2 for bad input, 130 when interrupted."""
    options = vars(parser().parse_args(arguments))
    command = options.pop("command")
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        return _main(command, options)


def _main(command: str, options: dict[str, Any]) -> int:
    try:
        if threading.current_thread() is threading.main_thread():  # only there can signals be caught
            signal.signal(signal.SIGTERM, _terminate)
        if command == "layers":
            _layers(**options)
        elif command == "statistics":
            _statistics(**options)
        elif command == "repeat":
            return _repeat(**options)
        elif command == "run":
            _run(load_recipe(options.pop("file"), **options))
        else:
            _run(RECIPES[command](**options))
    except KeyboardInterrupt as stop:
        again = "the same command without --fresh continues" if options.get("fresh") else "the same command continues"
        print(str(stop) or f"stopped; what is finished is kept, and {again}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); python must not complain once more when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except RuntimeError as error:  # torch's own: out of memory, an operation that a device lacks
        if os.environ.get("INVERTER_TRACEBACK"):
            raise
        return _failed(command, f"{' '.join(str(error).split())[:300]} (INVERTER_TRACEBACK=1 shows where)")
    except MemoryError as error:
        return _failed(command, str(error) or "out of memory: give a smaller --size or --batch-size")
    except (ValueError, LookupError, TypeError, OSError, ModuleNotFoundError) as error:
        if os.environ.get("INVERTER_TRACEBACK"):
            raise
        if isinstance(error, OSError) and error.errno in FAULTS:
            return _failed(command, f"{error.strerror}: {error.filename or options.get('out')}")
        text = str(error).strip() if not isinstance(error, KeyError) else repr(error)
        print(f"inverter {command}: {' '.join(text.split())}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _failed(command: str, what: str) -> int:
    print(f"inverter {command}: failed: {what}; what is finished is kept", file=sys.stderr)
    return FAILED


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"inverter: {' '.join(str(message).split())}", file=sys.stderr)


def _terminate(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _run(recipe: Known) -> None:
    if isinstance(recipe, DeepDream):
        _dream(recipe)
    elif isinstance(recipe, Patches):
        _patches(recipe)
    else:
        _recipe(recipe)


def _dream(recipe: DeepDream) -> None:
    from recipes.cli.terminal import shown

    try:
        with shown(recipe.name, "step") as progress:
            path = recipe.run(progress)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(str(stop) or "stopped before the first step; nothing was written") from None
    print(f"wrote {path}" + (f" and {recipe.video}" if recipe.video else ""))


def _patches(recipe: Patches) -> None:
    from recipes.cli.terminal import clock, print_table, shown

    with shown(recipe.name) as progress:
        report = recipe.run(progress)
    _skipped(recipe.skipped())
    made = f"{report.made} made in {clock(report.seconds)}" if report.made else "all were finished already"
    print(f"{len(report.manifest.units)} units in {report.out} ({made})")
    print_table(report.manifest.table)
    print(f"open {report.page}")


def _recipe(recipe: AnyRecipe) -> None:
    from recipes.cli.terminal import clock, print_table, shown

    said: list[RunProgress] = []

    def told(update: RunProgress) -> None:
        said[:] = [update]
        progress(update)

    try:
        with shown(recipe.name) as progress:
            report = recipe.run(told)
    except KeyboardInterrupt:
        if said:
            finished, units = said[0].finished + int(said[0].done), said[0].finished + said[0].units
            print(f"{finished} of {units} pictures are finished in {recipe.out}", file=sys.stderr)
        raise
    _skipped(recipe.skipped())
    units = len(report.manifest.units)
    made = f"{report.made} made in {clock(report.seconds)}" if report.made else "all were finished already"
    print(f"{units} pictures in {report.out} ({made})")
    for record in report.failed:
        print(f"{record.file}: {record.status}", file=sys.stderr)
    print_table(report.manifest.table)
    if closing := recipe.closing(list(report.manifest.units.values())):
        print(closing)
    print(f"open {report.page}")


def _skipped(pictures: Mapping[str, str]) -> None:
    """Names the pictures that could not be read, with the reasons, and counts them."""
    for name, reason in pictures.items():
        print(f"skipped {name}: {reason}", file=sys.stderr)
    if len(pictures) > 1:
        print(f"{len(pictures)} pictures could not be read and were skipped", file=sys.stderr)


def _layers(model: str, weights: str | None, normalize: str | None, size: int | None, device: str | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from inverter import layers, load_model
    from priors.base import as_size

    if size is not None:
        check_whole("size", size, 1, LARGEST)
    loaded = load_model(model, weights, normalize, device)
    table = Table(box=None, pad_edge=False, caption="* stages: what --layer all means", caption_justify="left")
    for title in ("layer", "type", "calls", "channels", "map", "receptive field", "stage"):
        table.add_column(
            title, justify="right" if title in ("calls", "channels", "map", "receptive field") else "left", no_wrap=True
        )
    for row in layers(loaded, as_size(size) if size is not None else None):
        field = row.receptive_field
        table.add_row(
            Text(row.name),
            Text(row.type),
            str(row.calls),
            "" if row.channels is None else str(row.channels),
            "" if row.size is None else f"{row.size[0]}x{row.size[1]}",
            "" if field is None else "all" if field == float("inf") else f"{field:.0f}",
            "*" if row.stage else "",
        )
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)


def _repeat(manifest: str, unit: str, weights: str | None, device: str | None) -> int:
    from recipes.cli.repeat import repeat
    from recipes.cli.terminal import shown

    with shown("repeat") as progress:
        found = repeat(manifest, unit, weights=weights, device=device, progress=progress)
    for each in found:
        print(f"{each.file}: {'the same' if each.same else each.difference}")
    if all(each.same for each in found):
        return 0
    changes = found[0].changes
    print(f"not the same; since then: {'; '.join(changes) if changes else 'no version here has changed'}")
    return FAILED


def _statistics(images: str, out: str, channels: int, source: str) -> None:
    from recipes.cli.terminal import shown
    from recipes.executors.progress import RunProgress
    from recipes.pictures.statistics import Statistics

    with shown("statistics", "file") as progress:
        statistics = Statistics(images=images, out=out, channels=channels, source=source)
        found = statistics.run(lambda done, files, _: progress(RunProgress(done, files, finished=0)))
    _skipped({str(path): reason for path, reason in found.skipped})
    slopes = ", ".join(f"{slope:.2f}" for slope in found.statistics.slope().tolist())
    print(f"{found.statistics.images} pictures measured, {len(found.skipped)} skipped; spectrum slopes {slopes}")
    print(f"wrote {found.out}")
