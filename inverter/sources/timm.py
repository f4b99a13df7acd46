"""Networks of timm: its architectures with any tag of weights, repositories of the hub, and folders as these."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from inverter.metadata import Known
from inverter.sources.hub import hub
from inverter.sources.source import Found, Source, library, near, prefixed, seeded
from inverter_errors import BadInput, MissingFile

FOLDER, HUB = "local-dir:", "hf-hub:"
"""Beginnings of the names that timm finds outside of its own list."""


def _load(name: str, pretrained: bool) -> Found:
    timm = library("timm", "timm")
    if name.startswith(FOLDER):
        if not (Path(name.removeprefix(FOLDER)) / "config.json").is_file():
            raise MissingFile(f"no config.json in {name.removeprefix(FOLDER)!r}: expected a folder as timm saves it")
    elif not name.startswith(HUB):
        names = timm.list_models() + timm.list_pretrained()
        if name not in names:
            raise BadInput(f"timm has no model {name!r}{near(name, names)}")
    asks = name.startswith(HUB) or (pretrained and not name.startswith(FOLDER))
    with hub(f"timm:{name}", asks), seeded():
        module = timm.create_model(name, pretrained=pretrained)
        config = timm.data.resolve_model_data_config(module)
    known: Known = {"normalize": (config["mean"], config["std"])}
    known["input_size"] = tuple(config["input_size"][-2:])
    if categories := _categories(timm, module):
        known["categories"] = categories
    return module, known


def _categories(timm: Any, module: nn.Module) -> tuple[str, ...]:
    """The names in its own configuration, else those of ImageNet's subset with as many classes."""
    config: Any = getattr(module, "pretrained_cfg", {})
    if (names := config.get("label_names")) and len(names) == getattr(module, "num_classes", None):
        words = config.get("label_descriptions") or {}
        return tuple(str(words.get(name, name)) for name in names)
    subset = timm.data.infer_imagenet_subset(module)
    return tuple(timm.data.ImageNetInfo(subset).label_descriptions()) if subset else ()


def _names(pattern: str) -> Iterable[str]:
    return [f"timm:{name}" for name in library("timm", "timm").list_models()]


SOURCE = Source(
    name="timm",
    form="timm:NAME",
    takes=prefixed("timm"),
    load=_load,
    names=_names,
    random=True,
)
