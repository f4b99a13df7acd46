"""The command line: the only place that turns errors into one line, prints results, and knows exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from inverter_errors import GuessedSizeWarning, InverterError, OutOfMemory, RunFailed
from recipes import find_recipe
from recipes.cli.arguments import BAD_INPUT, parse
from recipes.cli.commands import COMMANDS, FAILED
from recipes.cli.running import run_recipe
from recipes.cli.streams import usable_streams

INTERRUPTED = 130
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
        if other := next((each for each in COMMANDS if each.name == command), None):
            return other.run(**options)
        recipe = find_recipe(command)
        assert recipe is not None  # the parser knows these alone
        return run_recipe(recipe(**options))
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
