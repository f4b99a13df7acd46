"""From the activations that a pass collected of a layer to the patches, heat maps and metrics of its units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from inverter import Model, ReceptiveField
from inverter.batching import pictures_at_once
from inverter.devices import sent
from objectives.units import as_map
from recipes.activations.collect import CollectedActivations
from recipes.activations.map_geometry import Overlay, overlay, window
from recipes.activations.responses import QUANTILES, PatchRecord, Response, responses
from recipes.outputs.atomic import write_jpeg
from recipes.outputs.manifest import Record
from recipes.outputs.rendering.sheet import picture as picture_of
from recipes.outputs.rendering.showing import Showing
from recipes.outputs.vocabulary import OK, SILENT
from recipes.pictures.sets import PictureSet
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from PIL import Image

ON_SHEET = 4
"""Patches of a unit on the contact sheet, at most."""
PICTURES = "pictures"
"""Folder, below the output folder, of the pictures at the network's input size."""


@dataclass(frozen=True)
class PatchRecords:
    """The patch records of one layer's units in a set of pictures.

    Attributes:
        model: the network under inspection.
        pictures: the set.
        collected: what `collect` kept of the set with `Extremes`.
        layer: address, "" for the output.
        field: receptive field of the layer's units, None if it is unknown.
        objective: as in `responses`.
        count: as in `responses`.
    """

    model: Model
    pictures: PictureSet
    collected: CollectedActivations
    layer: str
    field: ReceptiveField | None
    objective: str
    count: int

    def responses(self, units: Sequence[Unit]) -> dict[Unit, Response]:
        """The response of each unit of the layer to the set."""
        channels = [unit.channel for unit in units if unit.channel is not None]
        ranked = responses(self.collected, self.layer, channels, self.objective, self.count)
        return dict(zip(units, ranked, strict=True))

    def summary(self, responses: Sequence[Response]) -> dict[str, Any]:
        """The layer's row of the manifest's table.

        Args:
            responses: of the layer's units.

        Returns:
            JSON values: the numbers of `units`, `pictures`, `skipped` pictures and `silent` units (constant over all
            pictures), and the `receptive_field`: `unknown`, `all` (the full picture), or its side such as `31 px`
            (`3x39 px` where height and width differ).
        """
        field = "unknown" if self.field is None or not self.field.traced else str(self.field)
        return {
            "units": len(responses),
            "receptive_field": field if field in ("unknown", "all") else f"{field} px",
            "pictures": len(self.collected.names) - len(self.collected.skipped),
            "skipped": len(self.collected.skipped),
            "silent": sum(not response.most for response in responses),
        }

    def patch(self, record: PatchRecord) -> dict[str, Any]:
        """A patch record as JSON values: the picture, the receptive field in it, and the activation there."""
        return {
            "picture": f"{PICTURES}/{record.picture:06d}.jpg",
            "name": self.collected.names[record.picture],
            "value": record.value,
            "at": record.at,
            "window": window(self.field, record, self.collected.size),
        }

    def metrics(self, response: Response) -> dict[str, Any]:
        """The manifest's metrics of a unit, as JSON values."""
        values = asdict(response)
        for kind in ("most", "least"):
            values[kind] = [self.patch(record) for record in getattr(response, kind)]
        values["quantiles"] = dict(zip(map(str, QUANTILES), response.quantiles, strict=True))
        return {**values, "map": asdict(self._overlay)}

    @property
    def _overlay(self) -> Overlay:
        return overlay(self.field, self.collected.shapes[self.layer], self.collected.size)

    def with_heat_maps(
        self, responses: Mapping[Unit, Response], folder: Path, saved: set[int]
    ) -> Iterator[tuple[Record, Tensor]]:
        """The units' manifest records, each with the heat maps of its patches side by side.

        The pictures of the patches are written to the folder.

        Args:
            responses: of the units.
            folder: output folder.
            saved: indices of the pictures that are in the folder already; those that are written are added.

        Yields:
            A unit's record, and its heat maps (1, h, w) in [0, 1].
        """
        patches = {unit: [*response.most, *response.least] for unit, response in responses.items()}
        maps: dict[Unit, list[Tensor]] = {unit: [torch.empty(0)] * len(records) for unit, records in patches.items()}
        by_picture: dict[int, list[tuple[Unit, int]]] = {}
        for unit, records in patches.items():
            for slot, record in enumerate(records):
                by_picture.setdefault(record.picture, []).append((unit, slot))
        for picture, image, activation in self._activations(sorted(by_picture)):
            if picture not in saved:
                write_jpeg(folder / PICTURES / f"{picture:06d}.jpg", Showing.of(self.model).picture(image))
                saved.add(picture)
            for unit, slot in by_picture[picture]:
                strongest, weakest = responses[unit].most[0].value, responses[unit].least[0].value
                # The strongest patches are shown from 0 up, so that they stand out in layers with negative values too.
                zero = strongest > 0 and slot < len(responses[unit].most)
                low = 0.0 if zero else min(0.0, weakest)
                maps[unit][slot] = _heat(activation[unit.channel or 0], low, strongest)
        for unit, response in responses.items():
            yield self._record(unit, response), _strip(maps[unit], self._overlay)

    def _activations(self, chosen: Sequence[int]) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Some pictures with the layer's maps: (index, picture (C, H, W), maps (channels, h, w))."""
        names = [self.pictures.names[index] for index in chosen]
        part = PictureSet(names, lambda index, size: self.pictures.load(chosen[index], size), self.pictures.readers)
        with self.model.capture([self.layer]) as capture, torch.no_grad():
            together = pictures_at_once(self.model, [self.layer], self.collected.size)
            for batch in part.batches(self.collected.size, together):
                if not batch.indices:
                    continue
                activations = capture(self.model.normalize(sent(batch.images, self.model.device)))[self.layer]
                for index, image, activation in zip(
                    batch.indices, batch.images, as_map(activations, self.layer).float().cpu(), strict=True
                ):
                    yield chosen[index], image, activation

    def _record(self, unit: Unit, response: Response) -> Record:
        return Record(
            layer=unit.layer,
            channel=unit.channel,
            objective=unit.objective,
            attempt=0,
            seed=0,
            file=unit.file,
            score=response.most[0].value if response.most else None,
            steps=0,
            seconds=0.0,
            status=OK if response.most else SILENT,
            name=unit.name,
            metrics=self.metrics(response),
        )


def patch_tile(folder: Path, record: Record) -> Image.Image:
    """A unit's strongest patches as one picture, two by two; its heat maps where it has none.

    Args:
        folder: the output folder.
        record: of the unit.
    """
    from PIL import Image, ImageOps

    patches = record.metrics.get("most", [])[:ON_SHEET]
    if not patches:
        return picture_of(folder, record)
    side, across = 72, min(2, len(patches))
    tile = Image.new("RGB", (side * across, side * -(-len(patches) // across)), "white")
    for place, patch in enumerate(patches):
        top, left, bottom, right = patch["window"]
        with Image.open(folder / patch["picture"]) as full:
            part = ImageOps.pad(full.convert("RGB").crop((left, top, right, bottom)), (side, side), color="white")
        tile.paste(part, (side * (place % across), side * (place // across)))
    return tile


def _heat(activation: Tensor, low: float, high: float) -> Tensor:
    """A map (H, W) as 8-bit shades from `low` (black) to `high` (white)."""
    return ((activation - low) / max(high - low, 1e-12)).clamp(0, 1).mul(255).round().byte()


def _strip(maps: Sequence[Tensor], where: Overlay) -> Tensor:
    """Heat maps side by side, (1, H, W) in [0, 1], each with its rim."""
    shown = [each if each.ndim == 2 else torch.zeros(where.shape, dtype=torch.uint8) for each in maps]
    rimmed = [np.pad(each.numpy(), where.rim, mode="edge") for each in shown] or [np.zeros((1, 1))]
    return torch.from_numpy(np.concatenate(rimmed, axis=1))[None].float() / 255
