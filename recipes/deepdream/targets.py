"""What a dream amplifies: layers or channels with weights, as text and as objectives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from inverter_errors import BadInput

if TYPE_CHECKING:
    from inverter import Model
    from objectives import Objective

Target = tuple[str, int | None, float]
"""Address of a layer, index of a channel or None for all of it, and its weight."""
_LAYER = re.compile(r"(?P<address>.*?)(:(?P<channel>\d+))?(\*(?P<weight>[-+.\de]+))?")


def read_targets(texts: Iterable[str]) -> list[Target]:
    """Reads layers as they are written: `ADDRESS`, `ADDRESS:CHANNEL`, either with `*WEIGHT`.

    Args:
        texts: one for each layer.

    Returns:
        A target for each of them.

    Raises:
        BadInput: for text of another form.

    Example:
        >>> read_targets(["features.9", "features.12:7*.5"])
        [('features.9', None, 1.0), ('features.12', 7, 0.5)]
    """
    targets = list[Target]()
    for text in texts:
        match = _LAYER.fullmatch(text)
        try:
            if match is None or not match["address"]:
                raise ValueError
            channel = int(match["channel"]) if match["channel"] else None
            targets.append((match["address"], channel, float(match["weight"] or 1)))
        except ValueError:
            raise BadInput(f"layer {text!r}: expected ADDRESS, ADDRESS:CHANNEL, either with *WEIGHT") from None
    return targets


def weighted_objectives(
    model: Model, targets: Sequence[Target], guide: str | None = None
) -> list[tuple[Objective, float]]:
    """The objectives of a dream, with their weights.

    Args:
        model: the network under inspection.
        targets: from `read_targets`.
        guide: picture file whose activations the layers are to resemble; None amplifies what is there.

    Returns:
        (objective, weight) for each target; with a guide, its similarity to the guide's activations.

    Raises:
        LayerNotFound: for an unknown layer.
        BadInput: for an unknown channel, or a guide for a layer without maps.
        OSError: if the guide cannot be read.
    """
    from objectives import channel, layer
    from objectives.base import as_targets
    from objectives.units import check_channels

    parts = []
    for address, index, weight in targets:
        model.check_layer(address)
        if index is not None:
            check_channels(as_targets(index, "channel"), model.shapes([address])[address][1], address)
        if guide is not None:
            part = _guided(model, address, guide)
        else:
            part = layer(address) if index is None else channel(address, index)
        parts.append((part, weight))
    return parts


def _guided(model: Model, address: str, guide: str) -> Objective:
    import torch

    from recipes.deepdream.octaves import guided
    from recipes.pictures.reading import fit, read_picture

    photo = read_picture(guide, len(model.mean), value_range=model.value_range)
    shown = fit(photo, model.size_for())[None].to(model.device)
    with torch.no_grad(), model.capture([address]) as capture:
        maps = capture(model.normalize(shown))[address]
    if maps.ndim != 4:
        raise BadInput(f"layer {address!r} outputs {tuple(maps.shape)}: a guide needs a layer with maps (B, C, H, W)")
    return guided(address, maps)
