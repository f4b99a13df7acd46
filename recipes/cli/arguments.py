"""The arguments of the command line, made from the recipes' fields; help texts do not wait for torch."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from itertools import takewhile
from typing import Any, NoReturn

from recipes import CATALOGUE
from recipes.cli.recipe_file import kind
from recipes.options.fields import MACHINE, NETWORK, OPTIMISATION, OUTPUT, group_of, key_of
from recipes.options.suggest import nearest
from recipes.runner.base import Recipe
from recipes.runner.recipe import NetworkRecipe

BAD_INPUT = 2
"""Exit code."""
GROUPS = {
    NETWORK: "the network under inspection",
    OPTIMISATION: "how pictures are optimised",
    MACHINE: "where and how the work is done",
    OUTPUT: "what is written",
}
"""Groups of the fields that recipes share, in the order of the help text; a recipe's own fields come first."""


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


class _Renamed(argparse.Action):
    """The flag of an earlier release: it works, and says what it is called now."""

    def __init__(self, *args: Any, now: argparse.Action, **options: Any) -> None:
        super().__init__(*args, **options)
        self.now = now

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, flag: str | None = None) -> None:
        now = self.now.option_strings[0]
        print(f"inverter: {flag} is now {now}; the old name goes with the next release", file=sys.stderr)
        self.now(parser, namespace, values, flag)
        self.now.required = False


class _ByNetwork(argparse.Action):
    """A flag that is given once for one network, and several times, with their names, for several."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, flag: str | None = None) -> None:
        earlier = getattr(namespace, self.dest, [])
        several = [*([earlier] if isinstance(earlier, str) else earlier), values]
        setattr(namespace, self.dest, values if len(several) == 1 else several)


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
        _add_fields(command, entry.load())
    _add_run(commands)
    _add_layers(commands)
    _add_repeat(commands)
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


def _add_help(command: argparse.ArgumentParser) -> None:
    command.add_argument_group("help").add_argument("-h", "--help", action="help", help="show this text and exit")


def _add_fields(command: argparse.ArgumentParser, recipe: type[Recipe]) -> None:
    """A recipe's own fields first, then those that recipes share, by group."""
    grouped: dict[str | None, list[Field[Any]]] = {None: [], **{group: [] for group in GROUPS}}
    for field in fields(recipe):
        if not field.metadata.get("hidden"):
            grouped[group_of(recipe, field)].append(field)
    own = inspect.get_annotations(recipe)
    for group, members in grouped.items():
        members.sort(key=lambda field: field.name not in own)  # those of its bases come first in a dataclass
        title = command.add_argument_group("options" if group is None else f"{group} ({GROUPS[group]})")
        for field in members:
            _add_field(title, field)
    _add_help(command)


def _add_field(group: Any, field: Field[Any]) -> None:
    flag = "--" + key_of(field).replace("_", "-")
    default = "" if field.default in (None, MISSING, False, (), "") else f" (default: {field.default})"
    help_text = (field.metadata["help"] + default).replace("%", "%%")
    if kind(field) is bool:
        group.add_argument(flag, action="store_true", default=argparse.SUPPRESS, dest=field.name, help=help_text)
        return
    choices = field.metadata.get("choices")
    added = group.add_argument(
        flag,
        type=kind(field),
        action=_action(field),
        choices=choices,
        metavar=None if choices else kind(field).__name__.upper().replace("STR", "TEXT"),
        default=argparse.SUPPRESS,
        required=field.default is MISSING,
        dest=field.name,
        help=help_text,
    )
    if was := field.metadata.get("was"):
        group.add_argument(
            "--" + was.replace("_", "-"),
            action=_Renamed,
            now=added,
            type=kind(field),
            default=argparse.SUPPRESS,
            dest=field.name,
            help=argparse.SUPPRESS,
        )


def _action(field: Field[Any]) -> str | type[argparse.Action]:
    if field.metadata.get("networks"):
        return _ByNetwork
    return "append" if field.metadata.get("repeat") else "store"


def _add_run(commands: Any) -> None:
    command = _command(
        commands,
        "run",
        "FILE [OPTIONS]",
        "Run a recipe from a TOML file, whose keys are the recipe's flags.",
        "inverter run examples/gallery.toml --out gallery",
    )
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
    _add_help(command)


_OF_LAYERS = ("model", "weights", "normalize", "input_size", "categories", "axes", "value_range", "size", "device")


def _add_layers(commands: Any) -> None:
    command = _command(
        commands,
        "layers",
        "[OPTIONS]",
        "List a network's layers: address, type, channels, map, receptive field.",
        "inverter layers --model torchvision:squeezenet1_0",
    )
    for field in fields(NetworkRecipe):
        if field.name in _OF_LAYERS:
            _add_field(command, field)
    _add_help(command)


def _add_repeat(commands: Any) -> None:
    command = _command(
        commands,
        "repeat",
        "MANIFEST --unit UNIT [OPTIONS]",
        "Make pictures of a run again, and say whether they are the same (exit code 0) or not (1).",
        "inverter repeat gallery/manifest.json --unit features.9/3",
    )
    command.add_argument("manifest", help="OUT/manifest.json")
    command.add_argument("--unit", required=True, help="LAYER/CHANNEL, or a picture's file as in the manifest")
    command.add_argument("--weights", help="weights file, if it is no longer where it was")
    command.add_argument("--device", help="other than the run's")
    _add_help(command)


def parse(arguments: Sequence[str] | None) -> dict[str, Any]:
    """The command and its options, as given."""
    return vars(parser().parse_args(arguments))
