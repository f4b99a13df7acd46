"""The pictures of matching units: the top patches of both, one row above the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from recipes.activations.responses import PatchRecord
from recipes.compare.collected import Collected
from recipes.compare.matches import Match
from recipes.gallery.patch_records import PICTURES, PatchRecords
from recipes.options.names import OUTPUT_LAYER
from recipes.outputs.atomic import write_jpeg
from recipes.outputs.file_names import numbered, safe_name
from recipes.outputs.manifest import Record
from recipes.outputs.rendering.showing import Showing
from recipes.outputs.vocabulary import OK
from recipes.pictures.sets import PictureSet
from recipes.runner.units import Unit

SIDE = 64
"""Pixels of a patch's side in the picture of a match."""


def match_unit(layer: str, other: str, match: Match) -> Unit:
    """The unit of a pair of matching units."""
    folder = f"matches/{safe_name(layer or OUTPUT_LAYER)}-{safe_name(other or OUTPUT_LAYER)}"
    file = f"{folder}/{numbered(match.unit)}-{numbered(match.other)}.png"
    return Unit(layer or OUTPUT_LAYER, match.unit, "match", file, made_from=f"{other or OUTPUT_LAYER} {match.other}")


@dataclass(frozen=True)
class MatchPictures:
    """Makes the records and pictures of matches.

    Attributes:
        model: the network, or several as one.
        pictures: the set.
        collected: the activations.
        count: patches of each unit.
        folder: output folder.
    """

    model: Model
    pictures: PictureSet
    collected: Collected
    count: int
    folder: Path

    def __call__(self, pair: tuple[str, str], matches: Sequence[Match]) -> Iterator[tuple[Record, Tensor]]:
        """The matches of a pair of layers; the pictures that their patches are from are written to the folder.

        Args:
            pair: addresses of the layers.
            matches: of their units.

        Yields:
            A match's record, and its picture (C, 2 * SIDE, count * SIDE) in [0, 1].
        """
        first, second = (self._records(layer) for layer in pair)
        units = [match_unit(*pair, match) for match in matches]
        others = [Unit(unit.layer, match.other, "channel", "") for unit, match in zip(units, matches, strict=True)]
        tops, other_tops = first.responses(units), [second.responses([other])[other] for other in others]
        for unit, match, top, other_top in zip(units, matches, tops.values(), other_tops, strict=True):
            strips = [self._strip(records, each.most) for records, each in ((first, top), (second, other_top))]
            metrics = {
                "other": pair[1] or OUTPUT_LAYER,
                "other_channel": match.other,
                "most": [first.patch(each) for each in top.most],
                "other_most": [second.patch(each) for each in other_top.most],
            }
            record = Record(
                layer=unit.layer,
                channel=unit.channel,
                objective=unit.objective,
                attempt=0,
                seed=0,
                file=unit.file,
                score=match.correlation,
                steps=0,
                seconds=0.0,
                status=OK,
                made_from=unit.made_from,
                metrics=metrics,
            )
            yield record, torch.cat(strips, 1)

    def _records(self, layer: str) -> PatchRecords:
        field = self.collected.fields[layer]
        return PatchRecords(self.model, self.pictures, self.collected.plain, layer, field, "channel", self.count)

    def _strip(self, records: PatchRecords, most: Sequence[PatchRecord]) -> Tensor:
        """The patches side by side, (C, SIDE, count * SIDE); black where there are fewer."""
        size, channels = self.collected.plain.size, len(self.model.mean)
        tiles = torch.zeros(self.count, channels, SIDE, SIDE)
        for place, record in enumerate(most):
            image = self.pictures.read(record.picture, size)
            file = self.folder / PICTURES / f"{record.picture:06d}.jpg"
            if not file.is_file():
                write_jpeg(file, Showing.of(self.model).picture(image))
            top, left, bottom, right = records.patch(record)["window"]
            part = image[None, :, top:bottom, left:right]
            tiles[place] = F.interpolate(part, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)[0]
        return torch.cat(list(tiles), 2)
