"""The network as pages draw it: its layers with their shapes, and what a page may choose from."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput

if TYPE_CHECKING:
    from inverter import LayerInfo, Model

PRIORS = {
    "fourier": "colours without correlation, by frequency: the usual one",
    "pixels": "free pixels, with penalties",
    "pyramid": "a sum of pictures of several scales",
    "maco": "the spectrum of natural images, with free phases",
    "deep-image": "an untrained convolutional network",
    "cppn": "a smooth function of the position",
    "gan": "pictures of a small generator",
    "plug-and-play": "a generator and a denoiser",
}
"""Priors that need no file of their own, with what they are."""
TUNED = ("fourier", "pixels", "pyramid", "maco")
"""Priors whose options pages may set: of the others, options decide how much memory they take, or name files."""
_NUMERIC = ("int", "float", "int | None", "float | None")


def network_map(model: Model, rows: list[LayerInfo]) -> dict[str, Any]:
    """The layers of a network, and its input and classes, as JSON values.

    Args:
        model: the network.
        rows: of `inverter.layers`.
    """
    height, width = model.input_size
    return {
        "spec": model.spec,
        "title": model.spec.partition(":")[2] or model.spec,
        "input": {"height": height, "width": width, "channels": len(model.mean)},
        "classes": list(model.categories) or None,
        "device": str(model.device),
        "layers": [_layer(row) for row in rows if row.channels],
        "stages": [row.name for row in rows if row.stage],
    }


def _layer(row: LayerInfo) -> dict[str, Any]:
    height, width = row.size or (1, 1)
    field = row.field if row.field is not None and math.isfinite(row.field.size) else None
    return {
        "address": row.name,
        "type": row.type,
        "channels": row.channels,
        "height": height,
        "width": width,
        "kind": "vector" if row.size is None else "tokens" if "N" in row.axes else "map",
        "receptive_field": None if field is None else [round(field.y.size), round(field.x.size)],
        "stage": row.stage,
    }


def choices() -> dict[str, Any]:
    """What a page may choose from, as JSON values."""
    from recipes.attribution.registry import NAMES
    from recipes.gallery.gallery import OBJECTIVES
    from recipes.options.augmentations import AUGMENTS
    from recipes.options.named import option_types
    from recipes.options.priors import PriorChoice

    priors = []
    for name, text in PRIORS.items():
        made = PriorChoice(name)._class()
        numeric = {key for key, kind in option_types(made).items() if kind in _NUMERIC} - {"count", "image_channels"}
        known = inspect.signature(made).parameters.values() if name in TUNED else ()
        tuned = [{"name": each.name, "default": each.default} for each in known if each.name in numeric]
        priors.append({"name": name, "help": text, "options": tuned})
    return {
        "priors": priors,
        "augment": list(AUGMENTS),
        "objectives": list(OBJECTIVES),
        "methods": [{"name": name, "title": name.replace("-", " "), "help": ""} for name in NAMES],
    }


def natural_statistics_of(model: Model) -> str | None:
    """The feature statistics of natural images that a network brings with it, as `--natural` names them."""
    from inverter import batch_norm_statistics
    from recipes.runner.natural_fields import BATCH_NORM, BUNDLED

    if model.spec == "builtin":
        return BUNDLED
    try:
        batch_norm_statistics(model)
    except BadInput:
        return None
    return BATCH_NORM
