"""What a dream amplifies: layers or channels with weights, as text and as objectives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from inverter_errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

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
    model: Model, targets: Sequence[Target], photo: Tensor, guide: str | None = None
) -> list[tuple[Objective, float]]:
    """The objectives of a dream, with their weights.

    Args:
        model: the network under inspection.
        targets: from `read_targets`.
        photo: what is dreamt on, (1, C, H, W) in [0, 1]; only a guide is compared with it.
        guide: picture file whose features and colours are to be taken up; None amplifies what is there.

    Returns:
        (objective, weight) for each target; with a guide two for each, its features and its colours.

    Raises:
        LayerNotFound: for an unknown layer.
        BadInput: for an unknown channel, or a guide for a layer without maps.
        OSError: if the guide cannot be read.
    """
    from objectives import channel, layer
    from objectives.base import as_targets
    from objectives.units import check_channels

    parts: list[tuple[Objective, float]] = []
    for address, index, weight in targets:
        model.check_layer(address)
        if index is not None:
            check_channels(as_targets(index, "channel"), model.shapes([address])[address][1], address)
        if guide is not None:
            parts += [(part, weight * share) for part, share in _guided(model, address, guide, photo)]
        else:
            parts.append((layer(address) if index is None else channel(address, index), weight))
    return parts


def _guided(model: Model, address: str, guide: str, photo: Tensor) -> list[tuple[Objective, float]]:
    """The features of a guide, and its colours, with their weights."""
    import torch

    from recipes.deepdream.guide import COLOUR_WEIGHT, Guide
    from recipes.deepdream.octaves import resized
    from recipes.pictures.reading import fit, read_picture

    read = read_picture(guide, len(model.mean), value_range=model.value_range)
    shown = fit(read, model.size_for())[None].to(model.device)
    with torch.no_grad(), model.capture([address]) as capture:
        maps, usual = (
            capture(model.normalize(part))[address] for part in (shown, resized(photo.to(shown), model.size_for()))
        )
    if maps.ndim != 4:
        raise BadInput(f"layer {address!r} outputs {tuple(maps.shape)}: a guide needs a layer with maps (B, C, H, W)")
    found = Guide.of(address, maps, shown, usual)
    return [(found.features(), 1.0), (found.coloured(), COLOUR_WEIGHT)]
