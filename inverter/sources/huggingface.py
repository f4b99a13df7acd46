"""Networks of Hugging Face's transformers, from the hub or from a folder that `save_pretrained` wrote."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from inverter.checkpoints import find_weights, load_weights, read_state
from inverter.metadata import Known
from inverter.sources.hub import hub
from inverter.sources.hub_names import cached, searched
from inverter.sources.source import Found, Source, library, prefixed, seeded
from inverter.text import LaterTokenizer, has_towers
from inverter_errors import BadInput, MissingFile, plural

KEPT = (
    "ForImageClassification",
    "ForImageClassificationWithTeacher",
    "ForSemanticSegmentation",
    "VisionModelWithProjection",
)
"""Endings of the architectures that are loaded with their heads; of all others, the base model is."""
REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
"""NAME or ORG/NAME."""
NO_PICTURES = ("spatial_shapes", "grid_thw", "image_grid_thw")
"""Arguments of networks that take the patches of pictures of any shape, not pictures (SigLIP 2 NaFlex, Qwen-VL)."""
OTHERS = {
    "open_clip_config.json": "open_clip:local-dir:FOLDER",
    "adapter_config.json": "the folder of the base model, with the adapter merged",
}
"""Files in folders of other libraries, and what to load those as."""


def _load(name: str, pretrained: bool) -> Found:
    """The network, in float32; called with pictures (see `_with_pictures`)."""
    transformers = library("transformers", "hf")
    folder = _folder(name)
    place = name if folder is None else str(folder)
    with hub(f"hf:{name}", folder is None, "give a folder that save_pretrained wrote, as hf:FOLDER"), seeded():
        config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False)
        kind = _kind(transformers, config)
        if config.model_type == "timm_wrapper":
            raise BadInput(
                f"hf:{name} is a network of timm: load it as timm:{'hf-hub' if folder is None else 'local-dir'}:{name}"
            )
        if pretrained:
            options = {"config": config, "trust_remote_code": False, "output_loading_info": True}
            module, report = kind.from_pretrained(place, **options)
        elif kind is transformers.AutoModel:
            module, report = kind.from_config(config, trust_remote_code=False), {}
        else:
            module, report = kind(config), {}
        processor = _processor(transformers, place)
    module = _with_pictures(module.float(), name, bool(processor.get("do_flip_channel_order")))
    if missing := sorted(report.get("missing_keys", ())):
        warnings.warn(
            f"hf:{name} has no weights for {plural(len(missing), 'tensor')} of {type(module).__name__}, which are "
            f"random: {', '.join(missing[:3])}",
            stacklevel=2,
        )
    known = _preprocessing(processor, config) | _labels(module, config)
    if has_towers(module):
        known["tokenizer"] = LaterTokenizer(partial(_tokenizer, name))
    if folder is not None and pretrained:
        known["weights"] = find_weights(folder)
    return module, known


def _put(module: Any, path: Path) -> None:
    """Copies a file's tensors by the module's own names, else by those of its checkpoints, which transformers map.

    Raises:
        BadInput: if they do not fit in either way.
    """
    try:
        load_weights(module, path)
    except BadInput as error:
        state = dict(read_state(path))
        with hub(f"{path}", asks=False):
            options = {"config": module.config, "state_dict": state, "output_loading_info": True}
            mapped, report = type(module).from_pretrained(None, **options)
        if report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"]:
            raise error
        module.load_state_dict(mapped.state_dict())


def _folder(name: str) -> Path | None:
    """The folder that is meant; None for a repository of the hub.

    Raises:
        MissingFile: if it is not there, or not one of transformers.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if REPOSITORY.fullmatch(name):
            return None
        raise MissingFile(f"no folder {name!r}; expected hf:ORG/NAME or the folder of a network, as hf:FOLDER")
    if not (folder / "config.json").is_file():
        meant = next((how for file, how in OTHERS.items() if (folder / file).is_file()), None)
        raise MissingFile(
            f"no config.json in {name!r}: "
            + (f"load it as {meant}" if meant else "expected a folder that save_pretrained wrote")
        )
    return folder


def _kind(transformers: Any, config: Any) -> Any:
    """The class to load: the one that the configuration names if it has a head to keep, else the base model's."""
    named = str((getattr(config, "architectures", None) or [""])[0])
    return getattr(transformers, named, transformers.AutoModel) if named.endswith(KEPT) else transformers.AutoModel


def _with_pictures(module: nn.Module, name: str, blue_first: bool) -> nn.Module:
    """Has the network take pictures alone, of any size that it can adapt its positions to.

    A network with an image and a text tower (CLIP, SigLIP) outputs the embedding of a picture before it is normalised;
    its text tower can be called as usual (`get_text_features`).

    Args:
        module: the network, changed in place.
        name: of it, for errors.
        blue_first: True if its channels are blue, green, red.

    Raises:
        BadInput: if it takes no pictures, or more than these.
    """
    entry = getattr(module, "get_image_features", module.forward)
    takes = inspect.signature(entry).parameters
    needed = [each.name for each in takes.values() if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    if "pixel_values" not in takes:
        raise BadInput(f"hf:{name} is a {type(module).__name__}, which takes no pictures: choose a vision model")
    needed += [each for each in NO_PICTURES if each in takes]
    if more := [each for each in needed if each != "pixel_values"]:
        raise BadInput(
            f"hf:{name} is a {type(module).__name__}, which takes {', '.join(more)} as well as pictures: give "
            "these in a module of your own, FILE.py:FACTORY"
        )
    options = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in takes else {}
    module.forward = partial(_run, entry, options, hasattr(module, "get_image_features"), blue_first)
    return module


def _run(
    entry: Callable[..., Any], options: Mapping[str, Any], embedding: bool, blue_first: bool, pictures: Tensor
) -> Any:
    found = entry(pixel_values=pictures.flip(1) if blue_first else pictures, **options)
    return getattr(found, "pooler_output", found) if embedding else found


def _processor(transformers: Any, place: str) -> Mapping[str, Any]:
    """The settings of the image processor; none if there is none."""
    try:
        return transformers.AutoImageProcessor.from_pretrained(place, trust_remote_code=False).to_dict()
    except Exception:  # many types for a repository without one
        return {}


def _tokenizer(name: str) -> Any:
    folder = _folder(name)
    fetched = f"the tokenizer of hf:{name}"
    with hub(f"hf:{name}", folder is None, "give a folder that save_pretrained wrote, as hf:FOLDER", fetched):
        place = name if folder is None else str(folder)
        found = library("transformers", "hf").AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    if len(found) <= len(found.all_special_tokens):  # transformers make an empty one where there are no files
        raise MissingFile(f"hf:{name} has no tokenizer, so that it cannot work with words: save it there as well")
    return found


def _preprocessing(processor: Mapping[str, Any], config: Any) -> Known:
    known: Known = {}
    scale = 255 * float(processor.get("rescale_factor") or 1 / 255) if processor.get("do_rescale", True) else 255.0
    mean, std = processor.get("image_mean"), processor.get("image_std")
    if processor and not processor.get("do_normalize"):
        mean, std = [0.0] * 3, [1.0] * 3
    if mean is not None and std is not None:
        offset = 1.0 if processor.get("rescale_offset") else 0.0  # EfficientNet's: subtracted after the scaling
        known["normalize"] = tuple((each + offset) / scale for each in mean), tuple(each / scale for each in std)
    sizes = [processor.get("crop_size") if processor.get("do_center_crop") else None, processor.get("size")]
    sizes.append(getattr(getattr(config, "vision_config", config), "image_size", None))
    if size := next(filter(None, map(_sides, sizes)), None):
        known["input_size"] = size
    return known


def _sides(size: Any) -> tuple[int, int] | None:
    """(height, width) of a size as transformers write it; None if it fixes neither."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping):
        size = [size.get(side) or size.get("shortest_edge") for side in ("height", "width")]
    if isinstance(size, list | tuple) and len(size) >= 2 and all(isinstance(side, int) for side in size):
        return size[-2], size[-1]
    return None


def _labels(module: nn.Module, config: Any) -> Known:
    """Names of the classes of a network with classes; those that transformers make up (LABEL_0) are none."""
    labels = getattr(config, "id2label", None) or {}
    names = [str(labels[index]) for index in sorted(labels)]
    if not type(module).__name__.endswith(KEPT[:3]) or all(re.fullmatch(r"LABEL_\d+", name) for name in names):
        return {}
    return {"categories": tuple(names)}


SOURCE = Source(
    name="hf",
    form="hf:ORG/NAME or hf:FOLDER",
    takes=prefixed("hf"),
    load=_load,
    put=_put,
    names=lambda pattern: [*cached(), *searched(pattern)],
    random=True,
)
