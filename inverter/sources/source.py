"""What a source of networks is: how it is named, how it makes a network, and which names it knows."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from inverter.checkpoints import load_weights
from inverter.metadata import Known
from inverter.sources.quiet import quiet
from inverter_errors import MissingLibrary

Found = tuple[nn.Module, Known]
"""A network, and its source's metadata."""


@dataclass(frozen=True)
class Source:
    """One kind of names that `load_model` takes.

    Attributes:
        name: of the source, for `list_models`.
        form: how its networks are named, for texts: `timm:NAME`.
        takes: what of a spec names the network (its NAME); None for the spec of another source.
        load: makes the network of a NAME; False as the second argument: without fetching its pretrained weights.
        put: copies a file of weights into its networks.
        names: full specs to choose from, if it has a list; a pattern may have it search further than this machine.
        random: True if its architectures can start with random weights.
    """

    name: str
    form: str
    takes: Callable[[str], str | None]
    load: Callable[[str, bool], Found]
    put: Callable[[nn.Module, Path], None] = load_weights
    names: Callable[[str], Iterable[str]] | None = None
    random: bool = False


def prefixed(prefix: str) -> Callable[[str], str | None]:
    """`Source.takes` of names that begin with a prefix.

    Example:
        >>> prefixed("timm")("timm:resnet18"), prefixed("timm")("timm:"), prefixed("timm")("resnet18")
        ('resnet18', None, None)
    """
    return lambda spec: spec.removeprefix(f"{prefix}:") or None if spec.startswith(f"{prefix}:") else None


def near(name: str, names: Sequence[str]) -> str:
    """The names that are most like one, for the end of an error; no text if none is."""
    found = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
    return f"; the nearest are: {', '.join(found)}" if found else ""


def library(name: str, extra: str) -> ModuleType:
    """Imports an optional library.

    Args:
        name: of its module.
        extra: of the package, that installs it.

    Raises:
        MissingLibrary: if it is not installed.
    """
    require(name, extra)
    with quiet():
        return importlib.import_module(name)


def require(name: str, extra: str) -> None:
    """Checks that an optional library is there, without importing it; otherwise as `library`."""
    if importlib.util.find_spec(name) is None:
        raise MissingLibrary(f"{extra} models need {name}: pip install 'inverter-vis[{extra}]'")


@contextmanager
def seeded() -> Iterator[None]:
    """Initial weights are the same each time; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
