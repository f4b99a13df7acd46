"""Names to choose from: of the models that `load_model` takes, and of the layers of a model."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal, get_args

from torch import nn

from inverter.layer_info import layers
from inverter.loading import load_model
from inverter.models import Model
from inverter_errors import BadInput, MissingLibrary

ModelSource = Literal["builtin", "torchvision", "timm"]
SOURCES: tuple[ModelSource, ...] = get_args(ModelSource)


def list_models(pattern: str = "", *, source: ModelSource | None = None) -> list[str]:
    """Names of models, as `load_model` takes them (in the manner of `timm.list_models`).

    Args:
        pattern: a wildcard for the full name (`*`, `?`, `[...]` as in `fnmatch`); text without a wildcard matches
            anywhere in the name. Default: all names.
        source: `builtin` (the bundled network), `torchvision` (its classification models) or `timm` (its architectures;
            `load_model` also takes them with the tag of their weights, `timm:NAME.TAG`). Default: all that are
            installed.

    Returns:
        Sorted names: "builtin", "timm:NAME", "torchvision:NAME".

    Raises:
        BadInput: for an unknown source.
        MissingLibrary: for the source `timm` where it is not installed.

    Example:
        >>> list_models("torchvision:squeezenet*")
        ['torchvision:squeezenet1_0', 'torchvision:squeezenet1_1']
        >>> list_models(source="builtin")
        ['builtin']
    """
    if source is not None and source not in SOURCES:
        raise BadInput(f"unknown source {source!r}; expected one of {', '.join(SOURCES)}")
    names: list[str] = []
    if source in (None, "builtin"):
        names.append("builtin")
    if source in (None, "torchvision"):
        from torchvision import models

        names += [f"torchvision:{name}" for name in models.list_models(module=models)]
    if source in (None, "timm"):
        try:
            import timm

            names += [f"timm:{name}" for name in timm.list_models()]
        except ModuleNotFoundError:
            if source == "timm":
                raise MissingLibrary("timm models need timm: pip install 'inverter-vis[timm]'") from None
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
