"""Networks of open_clip: the image tower is under inspection, the text tower is there as well."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from inverter.checkpoints import load_weights
from inverter.metadata import Known, as_input_size
from inverter.sources.hub import hub
from inverter.sources.source import Found, Source, library, near, prefixed, seeded
from inverter.text import LaterTokenizer
from inverter_errors import BadInput, InverterError, MissingFile

FOLDER, HUB = "local-dir:", "hf-hub:"
"""Beginnings of the names that open_clip finds outside of its own list."""


def _load(name: str, pretrained: bool) -> Found:
    """The network; called with pictures, it outputs their embedding before it is normalised (B, D)."""
    open_clip = library("open_clip", "clip")
    if name.startswith(FOLDER):
        if not (Path(name.removeprefix(FOLDER)) / "open_clip_config.json").is_file():
            raise MissingFile(
                f"no open_clip_config.json in {name.removeprefix(FOLDER)!r}: expected a folder as open_clip saves it"
            )
        architecture, tag = name, None
    elif name.startswith(HUB):
        architecture, tag = name, None
    else:
        architecture, tag = _split(open_clip, name, pretrained)
    asks = name.startswith(HUB) or tag is not None
    with hub(f"open_clip:{name}", asks), seeded():
        module = open_clip.create_model(architecture, tag, load_weights=pretrained, pretrained_text=False)
    module.forward = module.encode_image
    return module, _preprocessing(module) | {"tokenizer": LaterTokenizer(partial(_tokenizer, architecture))}


def _tokenizer(architecture: str) -> Any:
    open_clip = library("open_clip", "clip")
    spec = f"open_clip:{architecture}"
    with hub(spec, not architecture.startswith(FOLDER), fetched=f"the tokenizer of {spec}"):
        return open_clip.get_tokenizer(architecture)


def _put(module: nn.Module, path: Path) -> None:
    """Copies a file's tensors by the module's own names, else in the formats that open_clip converts.

    Raises:
        BadInput: if they do not fit in either way.
    """
    try:
        load_weights(module, path)
    except BadInput as error:
        try:
            with hub(f"{path}", asks=False):
                library("open_clip", "clip").load_checkpoint(module, str(path), strict=True, weights_only=True)
        except InverterError:
            raise error from None


def _split(open_clip: Any, name: str, pretrained: bool) -> tuple[str, str | None]:
    """ARCH/TAG as its two parts; the tag is None where the weights are not fetched."""
    architecture, _, tag = name.partition("/")
    known = open_clip.list_models()
    if architecture not in known:
        raise BadInput(f"open_clip has no architecture {architecture!r}{near(architecture, known)}")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag and tag not in tags:
        raise BadInput(f"open_clip has no weights {tag!r} of {architecture}; it has {', '.join(tags) or 'none'}")
    if not pretrained:
        return architecture, None
    if not tag and len(tags) != 1:
        choice = f"give one as open_clip:{architecture}/TAG (TAG: {', '.join(tags)}), or " if tags else "give "
        raise BadInput(
            f"open_clip:{architecture} has {len(tags) or 'no'} pretrained weights: {choice}a file as weights"
        )
    return architecture, tag or tags[0]


def _preprocessing(module: nn.Module) -> Known:
    visual: Any = module.visual
    config = {key: value for key, value in getattr(visual, "preprocess_cfg", {}).items() if value is not None}
    known: Known = {}
    if "mean" in config and "std" in config:
        known["normalize"] = (tuple(config["mean"]), tuple(config["std"]))
    if size := config.get("size", getattr(visual, "image_size", None)):
        known["input_size"] = as_input_size(size)
    return known


def _names(pattern: str) -> Iterable[str]:
    open_clip = library("open_clip", "clip")
    return [f"open_clip:{architecture}/{tag}" for architecture, tag in open_clip.list_pretrained()]


SOURCE = Source(
    name="open_clip",
    form="open_clip:ARCH/TAG",
    takes=prefixed("open_clip"),
    load=_load,
    put=_put,
    names=_names,
    random=True,
)
