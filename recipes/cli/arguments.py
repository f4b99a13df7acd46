"""The parser of the command line; help texts do not wait for torch."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any, NoReturn

from recipes import CATALOGUE
from recipes.cli.commands import COMMANDS
from recipes.cli.flags import add_fields, add_help
from recipes.options.suggest import nearest

BAD_INPUT = 2
"""Exit code."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, which names the command's own help and similar flags."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._negative_number_matcher = re.compile(r"-[\d.]")  # values like -80,0 are numbers, and no option

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help)\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # Here, and not in the parser of all commands, which knows neither the command nor its flags.
        if self._subparsers is None and args is not None:
            known = [flag for action in self._actions for flag in action.option_strings]
            for flag in (text.partition("=")[0] for text in takewhile(lambda text: text != "--", args)):
                if flag.startswith("--") and not any(each.startswith(flag) for each in known):
                    near = get_close_matches(flag, known, n=2, cutoff=0.7)
                    self.error(f"unknown option {flag}{'; did you mean ' + ' or '.join(near) + '?' if near else ''}")
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unexpected argument {unknown[0]!r}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"unknown {value!r}{nearest(str(value), map(str, action.choices))}")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from inverter import __version__  # only when it is needed: it waits for torch

        print(f"inverter {__version__}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    root = _Parser(
        prog="inverter",
        usage="inverter COMMAND [OPTIONS]",
        description="Feature visualization, model inversion and attribution for trained vision networks.",
        epilog="inverter COMMAND --help shows the options of a command.",
    )
    root.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="show the version and exit"
    )
    commands = root.add_subparsers(
        prog=root.prog, title="commands", dest="command", required=True, metavar="COMMAND", parser_class=_Parser
    )
    for entry in CATALOGUE:
        command = _command(commands, entry.command, "[OPTIONS]", entry.help, entry.example)
        add_fields(command, entry.load())
    for each in COMMANDS:
        command = _command(commands, each.name, each.usage, each.help, each.example)
        each.add(command)
        add_help(command)
    return root


def _command(commands: Any, name: str, usage: str, help: str, example: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        usage=f"inverter {name} {usage}",
        help=help,
        description=help,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    return command


def parse(arguments: Sequence[str] | None) -> dict[str, Any]:
    """The command and its options, as given."""
    return vars(parser().parse_args(arguments))
