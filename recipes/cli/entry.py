"""The command line: the only place that turns errors into one line, prints results, and knows exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inverter_errors import GuessedSizeWarning, InverterError, OutOfMemory, RunFailed, plural
from recipes import find_recipe
from recipes.cli.arguments import BAD_INPUT, parse
from recipes.cli.recipe_file import load_recipe
from recipes.cli.streams import usable_streams
from recipes.options.input_values import checked_size
from recipes.runner.base import Recipe

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgress

FAILED, INTERRUPTED = 1, 130
FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of the machine and not of the user: a disk that is full, over its quota, or broken."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: those of the process, unless given.

    Returns:
        The exit code: 0; 1 for a failure; 2 for bad input; 130 when interrupted. An error that is neither bad input nor
        the machine's is a fault of the code and passes through, with its traceback.
    """
    with usable_streams(), warnings.catch_warnings():
        warnings.showwarning = _warn
        warnings.simplefilter("default", GuessedSizeWarning)  # one line, also where warnings are errors
        options = parse(arguments)
        command = options.pop("command")
        return _main(command, options)


def _main(command: str, options: dict[str, Any]) -> int:
    try:
        if threading.current_thread() is threading.main_thread():  # only there can signals be caught
            signal.signal(signal.SIGTERM, _terminate)
        if command in _COMMANDS:
            return _COMMANDS[command](**options)
        recipe = find_recipe(command)
        assert recipe is not None  # the parser knows the catalogue alone
        return _run(recipe(**options))
    except KeyboardInterrupt as stop:
        again = "the same command without --fresh continues" if options.get("fresh") else "the same command continues"
        print(str(stop) or f"stopped; what is finished is kept, and {again}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); python must not complain once more when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (InverterError, OSError, MemoryError, RuntimeError) as error:
        if os.environ.get("INVERTER_TRACEBACK"):
            raise
        return _one_line(command, error, options.get("out"))


def _one_line(command: str, error: Exception, out: object) -> int:
    """Prints an error that is no fault of the code in one line; raises it again if it is one.

    Args:
        command: that met it.
        error: the error.
        out: the output, for a disk's fault without a file name.

    Returns:
        The exit code.
    """
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in FAULTS:
        return _failed(command, f"{error.strerror}: {error.filename or out}")
    if isinstance(error, RunFailed | OutOfMemory):
        return _failed(command, text)
    if isinstance(error, InverterError | OSError):
        print(f"inverter {command}: {text}", file=sys.stderr)
        return BAD_INPUT
    from inverter.isolation.device_faults import gpu_lost, out_of_memory

    if out_of_memory(error):
        return _failed(command, f"{text[:300] or 'out of memory'}: give a smaller --size or --batch-size")
    if gpu_lost(error):
        return _failed(command, f"{text[:300]} (INVERTER_TRACEBACK=1 shows where)")
    raise error


def _failed(command: str, what: str) -> int:
    print(f"inverter {command}: failed: {what}; what is finished is kept", file=sys.stderr)
    return FAILED


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"inverter: {' '.join(str(message).split())}", file=sys.stderr)


def _terminate(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _run(recipe: Recipe) -> int:
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


def _run_file(file: str, changes: Sequence[str] = (), **overrides: Any) -> int:
    return _run(load_recipe(file, changes, **overrides))


def _layers(size: str | None = None, **options: Any) -> int:
    from inverter import layers, load_model
    from inverter.layer_info import outputs
    from priors.base import as_size
    from recipes.cli.tables import print_ends, print_layers
    from recipes.options.networks import networks

    side = checked_size(size)
    shown = None if side is None else as_size(side)
    options |= networks(options)
    loaded = load_model(options.pop("model", "builtin"), **options).assuming(shown)
    print_layers(layers(loaded, shown))
    print_ends(loaded, loaded.size_for(shown), outputs(loaded, shown))
    return 0


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


_COMMANDS: dict[str, Callable[..., int]] = {"run": _run_file, "layers": _layers, "repeat": _repeat}
"""Commands that are no recipes."""
