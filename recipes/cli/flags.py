"""The flags of commands, made from the recipes' fields."""

from __future__ import annotations

import argparse
import inspect
import sys
from dataclasses import MISSING, Field, fields
from typing import Any

from recipes.cli.recipe_file import kind
from recipes.options.fields import MACHINE, NETWORK, OPTIMISATION, OUTPUT, group_of, key_of
from recipes.runner.base import Recipe

GROUPS = {
    NETWORK: "the network under inspection",
    OPTIMISATION: "how pictures are optimised",
    MACHINE: "where and how the work is done",
    OUTPUT: "what is written",
}
"""Groups of the fields that recipes share, in the order of the help text; a recipe's own fields come first."""


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


def add_help(command: argparse.ArgumentParser) -> None:
    command.add_argument_group("help").add_argument("-h", "--help", action="help", help="show this text and exit")


def add_fields(command: argparse.ArgumentParser, recipe: type[Recipe]) -> None:
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
            add_field(title, field)
    add_help(command)


def add_field(group: Any, field: Field[Any]) -> None:
    flag = "--" + key_of(field).replace("_", "-")
    default = "" if field.default in (None, MISSING, False, (), "") else f" (default: {field.default})"
    help_text = (field.metadata["help"] + default).replace("%", "%%")
    if kind(field) is bool:
        group.add_argument(flag, action="store_true", default=argparse.SUPPRESS, dest=field.name, help=help_text)
        return
    choices = field.metadata.get("choices")
    alone = {"nargs": "?", "const": field.metadata["alone"]} if "alone" in field.metadata else {}
    added = group.add_argument(
        flag,
        **alone,
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
