"""The reference of the command line: a page for each command, made from its parser and from the recipe's fields."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

from recipes import CATALOGUE
from recipes.cli.arguments import parser
from recipes.options.fields import key_of

FOLDER = "reference/commands"
Fields = dict[str, Field[Any]]


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, in the order of the help text."""
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(commands.choices)


def command_pages() -> dict[str, str]:
    """The pages: text by path, that of the overview first."""
    parsers = command_parsers()
    recipes = {entry.command: entry for entry in CATALOGUE}
    rows = [f"| [`inverter {name}`]({name}.md) | {escaped(each.description)} |" for name, each in parsers.items()]
    found = {f"{FOLDER}/index.md": "\n".join([_OVERVIEW, *rows, ""])}
    for name, each in parsers.items():
        entry = recipes.get(name)
        known = {field.name: field for field in fields(entry.load())} if entry else {}
        made_by = f"recipes.{entry.class_name}" if entry else None
        found[f"{FOLDER}/{name}.md"] = _page(name, each, known, made_by)
    return found


_OVERVIEW = """# Commands

`inverter COMMAND --help` prints what these pages say; `python -m inverter` is the same command. A recipe's options are
also the keys of its TOML file (`inverter run FILE`) and the arguments of its class in Python, under one name:
`--batch-size` is `batch_size`. `inverter --version` prints the version.

Exit codes: 0; 1 for a failure; 2 for bad input, with one line that says what to do; 130 when interrupted.

| command | |
| --- | --- |"""


def option_anchors(command: argparse.ArgumentParser) -> list[str]:
    """The anchors of a command's options on its page: the flag, or the name of an argument without one."""
    return [_anchor(action) for _, action in _actions(command)]


def escaped(text: str | None) -> str:
    r"""A plain text as Markdown.

    Example:
        >>> print(escaped("a * b, NAME_1 <x> | [y]"))
        a \* b, NAME\_1 &lt;x> \| \[y\]
    """
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text or "").replace("<", "&lt;")


def _actions(command: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """The options that the help text shows, each with the title of its group."""
    for group in command._action_groups:
        for action in group._group_actions:
            if action.help is not argparse.SUPPRESS:
                yield group.title or "", action


def _anchor(action: argparse.Action) -> str:
    return next((flag for flag in action.option_strings if flag.startswith("--")), action.dest)


def _page(name: str, command: argparse.ArgumentParser, known: Fields, made_by: str | None) -> str:
    lines = [f"# inverter {name}", "", escaped(command.description), ""]
    usage = (command.usage or "").replace("%(prog)s", command.prog)
    example = (command.epilog or "").partition("\n")[2].strip()
    lines += ["```sh", usage, "```", "", "For example:", "", "```sh", example, "```", ""]
    if made_by:
        lines += [f"In Python: [`{made_by}`][{made_by}].", ""]
    last = None
    for title, action in _actions(command):
        if title != last:
            short, _, long = title.rstrip(")").partition(" (")
            lines += [f"## {_sentence(short)}", "", *([_sentence(long) + ".", ""] if long else [])]
            last = title
        lines += [*_option(action, known.get(action.dest)), ""]
    return "\n".join(lines)


def _option(action: argparse.Action, field: Field[Any] | None) -> list[str]:
    """An option's heading, its sentence, and what a program may put in."""
    flags = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    takes = action.option_strings and action.nargs != 0
    value = f" {action.metavar or ('NAME' if action.choices else 'TEXT')}" if takes else ""
    help_text = field.metadata["help"] if field else (action.help or "").replace("%%", "%")
    facts = []
    if field:
        facts.append(f"key `{key_of(field)}`")
        if field.default is MISSING:
            facts.append("required")
        elif field.default not in (None, "", ()) or field.default is False:
            facts.append(f"default `{_toml(field.default)}`")
        if field.metadata.get("grows"):
            facts.append("an output folder may grow by more of it")
    elif action.required and action.option_strings:
        facts.append("required")
    if action.choices:
        facts.append("one of " + ", ".join(f"`{each}`" for each in action.choices))
    if isinstance(action, argparse._AppendAction) or (field and field.metadata.get("networks")):
        facts += [] if "may be repeated" in help_text else ["may be repeated"]
    heading = f'### `{flags}{value}` {{ #{_anchor(action)} data-toc-label="{flags}" }}'
    lines = [heading, "", escaped(_sentence(help_text)) + "."]
    return [*lines, "", f"<small>{' · '.join(facts)}</small>"] if facts else lines


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _toml(value: object) -> str:
    """A default as a recipe file has it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
