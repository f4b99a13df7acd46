"""The reference of the Python packages: a page for each, with every public name; mkdocstrings adds the docstrings."""

from __future__ import annotations

import importlib
import inspect

from recipes import CATALOGUE

FOLDER = "reference/python"
PACKAGES = ("inverter", "objectives", "priors", "recipes", "recipes.attribution", "inverter_errors")


def public_names() -> dict[str, list[str]]:
    """The public names of each package. Errors stand on a page of their own, though `inverter` exports them."""
    errors = importlib.import_module("inverter_errors")
    names = {package: list(getattr(importlib.import_module(package), "__all__", ())) for package in PACKAGES}
    names["inverter_errors"] = [name for name in names["inverter"] if hasattr(errors, name)]
    names["inverter"] = [name for name in names["inverter"] if not hasattr(errors, name)]
    return names


def python_pages() -> dict[str, str]:
    """The pages: text by path."""
    pages = {f"{FOLDER}/{package}.md": _page(package, names) for package, names in public_names().items()}
    return {"reference/index.md": _OVERVIEW, **pages}


_OVERVIEW = """# Reference

Made from the code: names from the packages' `__all__` and their docstrings, options from the fields of recipes.

| | |
| --- | --- |
| [`inverter`](python/inverter.md) | networks, the loop and its results |
| [`objectives`](python/objectives.md) | what to maximise |
| [`priors`](python/priors.md) | how a picture is parametrised |
| [`recipes`](python/recipes.md) | questions with an answer on disk: a gallery, an atlas |
| [`recipes.attribution`](python/recipes.attribution.md) | heat maps |
| [`inverter_errors`](python/inverter_errors.md) | errors |
| [Commands](commands/index.md) | the command line, with every option |
"""


def _page(package: str, names: list[str]) -> str:
    module = importlib.import_module(package)
    first = (inspect.getdoc(module) or "").partition("\n\n")[0]
    lines = [f"# {package}", "", first, "", "| | |", "| --- | --- |"]
    lines += [f"| [`{name}`][{_path(package, name)}] | {_first_sentence(module, name)} |" for name in names]
    commands = {entry.class_name: entry.command for entry in CATALOGUE} if package == "recipes" else {}
    if commands:
        lines += [
            "",
            "::: recipes.runner.base.Recipe",
            "    options:",
            "      members: [run]",
            "      show_bases: false",
        ]
    for name in names:
        lines += ["", f"::: {_path(package, name)}", "    options:", "      show_if_no_docstring: true"]
        if command := commands.get(name):
            lines += ["      members: false", "      show_signature: false", "      show_bases: false", ""]
            lines += [f"Its fields are the options of [`inverter {command}`](../commands/{command}.md)."]
    return "\n".join([*lines, ""])


def _path(package: str, name: str) -> str:
    return f"{'inverter' if package == 'inverter_errors' else package}.{name}"


def _first_sentence(module: object, name: str) -> str:
    value = getattr(importlib.import_module("inverter") if not hasattr(module, name) else module, name)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return ""
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split()).replace("|", "\\|")
