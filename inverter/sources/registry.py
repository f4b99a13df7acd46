"""The one list of sources, that `load_model`, `list_models` and their errors read."""

from __future__ import annotations

from collections.abc import Mapping

from inverter.sources import builtin, exported, huggingface, open_clip, python_file, timm, torchvision
from inverter.sources.source import Source

SOURCES: Mapping[str, Source] = {
    each.SOURCE.name: each.SOURCE
    for each in (builtin, torchvision, timm, huggingface, open_clip, python_file, exported)
}
"""By name, in the order in which they are named in texts."""


def find(spec: str) -> tuple[Source, str] | None:
    """The source of a spec, and what of the spec names the network; None if no source takes it."""
    taking = ((source, source.takes(spec)) for source in SOURCES.values())
    return next(((source, name) for source, name in taking if name), None)


def forms() -> str:
    """How the networks of all sources are named, for errors."""
    return ", ".join(source.form for source in SOURCES.values())


def random_forms() -> str:
    """How the networks are named that can start with random weights, for errors."""
    return ", ".join(source.form for source in SOURCES.values() if source.random)
