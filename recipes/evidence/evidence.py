"""The evidence of a run's pictures, once all of them are made: from the files in its folder, and the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from inverter import Model, receptive_fields, stages
from objectives.units import as_map
from recipes.evidence.appearance import appearance
from recipes.evidence.natural_patches import Patch, Pictures, centre_window, listed_patches, natural_patches
from recipes.evidence.path import batches, departure, path_activations, path_ranks
from recipes.evidence.photographs import SLOPE, SMALLEST
from recipes.evidence.two_patches import JudgeFeatures, two_patches
from recipes.evidence.verdict import failures, two_patches_key
from recipes.options.names import address
from recipes.pictures.reading import read_picture

if TYPE_CHECKING:
    from recipes.outputs.manifest import Record

Found = dict[str, dict[str, Any]]
"""File of a picture -> its metrics."""


def evidence(
    model: Model, judges: Mapping[str, Model], records: Sequence[Record], folder: Path, size: tuple[int, int]
) -> Found:
    """The evidence for and against pictures of units.

    Args:
        model: the network under inspection, of one or three channels.
        judges: further networks, by label.
        records: of the pictures; those with `patches` or `examples` in their metrics are compared with these.
        folder: of the pictures, and of what their patches name.
        size: (height, width) of the natural pictures.

    Returns:
        For each file, metrics to add: `slope`, `slope_distance`, `burnt`, `saturation`; where there are natural
        patches `path` (a list of layer and rank) and `path_departs`; with judges `two_patches`, of several
        `two_patches NAME`; and `fails`, a list of what of all this fails.
    """
    found: Found = {}
    for record, values in zip(records, appearance([read_picture(folder / r.file, None) for r in records]), strict=True):
        found[record.file] = values | {"slope_distance": abs(values["slope"] - SLOPE)}
    for layer, members in groupby(records, key=lambda record: record.layer):
        for file, values in _compared(model, judges, address(layer), list(members), folder, size).items():
            found[file] |= values
    for record in records:
        metrics = record.metrics | found[record.file]
        found[record.file]["fails"] = failures(metrics, record.channel, record.direction, list(judges))
    return found


def is_large_enough(path: Path) -> bool:
    """Whether a picture file has sides of at least `SMALLEST` pixels."""
    with Image.open(path) as picture:
        return min(picture.size) >= SMALLEST


def _compared(
    model: Model,
    judges: Mapping[str, Model],
    layer: str,
    records: Sequence[Record],
    folder: Path,
    size: tuple[int, int],
) -> Found:
    """What comparing the pictures of one layer's units with natural patches says."""
    if sum(bool(listed_patches(record.metrics)) for record in records) < 2:
        return {}  # there is no other unit to tell it from
    field = receptive_fields(model, [layer], size)[layer]
    listed = [natural_patches(record.metrics, folder, field, size) for record in records]
    known = [(record, patches) for record, patches in zip(records, listed, strict=True) if patches]
    records, listed = [record for record, _ in known], [patches for _, patches in known]
    pictures = [Patch(folder / record.file) for record in records]
    found: Found = {record.file: {} for record in records}
    naturals = [patch for patches in listed for patch in patches]
    owner = [place for place, patches in enumerate(listed) for _ in patches]
    layers = [*_before(model, layer, size), layer]
    seen, natural = (path_activations(model, layers, each) for each in (pictures, naturals))
    curves = path_ranks(seen, natural, owner, same_patches(naturals))
    for record, curve in zip(records, curves, strict=True):
        if curve:
            steps = [{"layer": name, "rank": value} for name, value in zip(layers, curve, strict=True)]
            found[record.file] |= {"path": steps, "path_departs": departure(layers, curve)}
    strongest = [patches[0] for patches in listed]
    parts = _own_parts(model, layer, records, pictures, field)
    for label, judge in judges.items():
        features = JudgeFeatures(judge)
        shares = two_patches(features.of(parts), features.of(strongest), same_patches(strongest))
        for record, share in zip(records, shares, strict=True):
            found[record.file][two_patches_key(label)] = share
    return found


def _before(model: Model, layer: str, size: tuple[int, int]) -> list[str]:
    """The network's stages before a layer, in order; all of them for an output."""
    order = [name for name, _ in model.module.named_modules()]
    name = layer.partition("#")[0].partition(":")[0]
    end = order.index(name) if name in order[1:] else len(order)
    return [each for each in stages(model, size) if order.index(each) < end and not name.startswith(f"{each}.")]


def same_patches(patches: Sequence[Patch]) -> Tensor:
    """(N, N), True for patches that show the same; each with itself.

    Args:
        patches: N of them.
    """
    same, of_file = torch.zeros(len(patches), len(patches), dtype=torch.bool), dict[Path, list[int]]()
    for place, patch in enumerate(patches):
        of_file.setdefault(patch.file, []).append(place)
    for places in of_file.values():
        for one in places:
            for other in places:
                same[one, other] = patches[one].overlaps(patches[other])
    return same


@torch.no_grad()
def _own_parts(
    model: Model, layer: str, records: Sequence[Record], pictures: Sequence[Patch], field: Any
) -> list[Patch]:
    """The part of each picture that is compared with patches: around the place that activates its unit most."""
    parts, read = list(pictures), Pictures(len(model.mean))
    units = [place for place, record in enumerate(records) if record.objective in ("channel", "neuron")]
    if field is None or not units:
        return parts
    unit_of = {pictures[place].file: place for place in units}
    with model.capture([layer]) as capture:
        for files, shown in batches(model, [layer], list(unit_of), read):
            seen = as_map(capture(model.normalize(shown.to(model.device)))[layer], layer)
            for file, maps in zip(files, seen, strict=True):
                record, size = records[unit_of[file]], read.read(file).shape[1:]
                values = maps[record.channel or 0]
                best = values.argmax() if record.direction == "max" else values.argmin()
                at = divmod(int(best), values.shape[1])
                if size == shown.shape[2:]:
                    parts[unit_of[file]] = Patch(file, centre_window(field, at, (size[0], size[1])))
    return parts
