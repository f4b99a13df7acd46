"""Names to choose from: of the models that `load_model` takes, and of the layers of a model."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

from torch import nn

from inverter.layer_info import layers
from inverter.loading import load_model
from inverter.models import Model
from inverter.sources.registry import SOURCES
from inverter_errors import BadInput, MissingLibrary

ModelSource = Literal["builtin", "torchvision", "timm", "hf", "open_clip"]
"""The sources that have names to list."""


def list_models(pattern: str = "", *, source: ModelSource | None = None) -> list[str]:
    """Names of models, as `load_model` takes them (in the manner of `timm.list_models`).

    Args:
        pattern: a wildcard for the full name (`*`, `?`, `[...]` as in `fnmatch`); text without a wildcard matches
            anywhere in the name. Default: all names.
        source: one of these. Default: all that are installed, without a search of the hub.

            - `builtin`: the bundled network.
            - `torchvision`: its classification models.
            - `timm`: its architectures; `load_model` also takes them with the tag of their weights, `timm:NAME.TAG`.
            - `hf`: the repositories cached on this machine; with a pattern, also what the Hugging Face hub finds for it
              (of each task, those that are downloaded most).
            - `open_clip`: its architectures with the tags of their weights.

    Returns:
        Sorted names: "builtin", "hf:ORG/NAME", "open_clip:ARCH/TAG", "timm:NAME", "torchvision:NAME".

    Raises:
        BadInput: for an unknown source.
        MissingLibrary: for a source whose library is not installed.
        Unreachable: for the source `hf` with a pattern, if the hub cannot be reached.

    Example:
        >>> list_models("torchvision:squeezenet*")
        ['torchvision:squeezenet1_0', 'torchvision:squeezenet1_1']
        >>> list_models(source="builtin")
        ['builtin']
    """
    listed = {name: each.names for name, each in SOURCES.items() if each.names is not None}
    if source is not None and source not in listed:
        raise BadInput(f"unknown source {source!r}; expected one of {', '.join(listed)}")
    names: set[str] = set()
    for names_of in listed.values() if source is None else [listed[source]]:
        try:
            names.update(names_of("" if source is None else pattern))
        except MissingLibrary:
            if source is not None:
                raise
    return sorted(_matching(names, pattern))


def list_layers(model: str | nn.Module | Model, pattern: str = "") -> list[str]:
    """Addresses of a model's layers: the names of the rows of `layers`.

    Args:
        model: from `load_model`, or what `load_model` takes.
        pattern: a wildcard for the full address, or text to search in it, as for `list_models`. Default: all layers.

    Returns:
        Addresses in the order of their first calls in a forward pass.

    Raises:
        BadInput: if the network cannot process a picture of its own size; as `load_model` otherwise.

    Example:
        >>> list_layers("builtin", "features.stage?")
        ['features.stage1', 'features.stage2', 'features.stage3', 'features.stage4']
    """
    model = load_model(model)
    rows = layers(model, model.input_size)  # they have the same names at any size: no need to report a guess
    return list(_matching((row.name for row in rows), pattern))


def _matching(names: Iterable[str], pattern: str) -> Iterable[str]:
    if not any(wildcard in pattern for wildcard in "*?["):
        pattern = f"*{pattern}*"
    return (name for name in names if fnmatchcase(name, pattern))
