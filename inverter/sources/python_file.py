"""Networks that a function in a Python file makes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from inverter.metadata import described
from inverter.sources.source import Found, Source, near
from inverter_errors import BadInput, MissingFile


def load_local(spec: str) -> Found:
    """The network that `path/to/file.py:factory` makes, and what it says of it.

    Raises:
        MissingFile: if there is no such file.
        BadInput: if the file cannot be imported, or has no such function, or this fails or makes no network.
    """
    place, _, factory = spec.rpartition(":")
    path = Path(place)
    if not path.is_file():
        raise MissingFile(f"no Python file {str(path)!r} to take a model from")
    found = importlib.util.spec_from_file_location(f"inverter_model_{path.stem}", path)
    assert found is not None and found.loader is not None  # a .py file always has a loader
    source = importlib.util.module_from_spec(found)
    sys.modules[found.name] = source  # pickled classes and dataclasses need their module there
    try:
        found.loader.exec_module(source)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{path} could not be imported: {type(error).__name__}: {error}") from error
    make = getattr(source, factory, None)
    if not callable(make):
        names = [key for key, value in vars(source).items() if callable(value) and not key.startswith("_")]
        raise BadInput(f"{path} has no function {factory!r}{near(factory, names)}")
    try:
        made = make()
    except (Exception, SystemExit) as error:
        raise BadInput(f"{factory}() of {path} failed: {type(error).__name__}: {error}") from error
    return described(made, make, f"{factory}() of {path}")


def takes(spec: str) -> str | None:
    """The spec itself if it is `path/to/file.py:factory`."""
    return spec if spec.rpartition(":")[0].endswith(".py") else None


def _load(spec: str, pretrained: bool) -> Found:
    return load_local(spec)


SOURCE = Source(
    name="python_file",
    form="path/to/file.py:factory",
    takes=takes,
    load=_load,
)
