"""From what a pass over pictures kept of a layer to what is shown of its units: patches, heat maps, figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inverter import Model, ReceptiveField
from inverter.engine import default_batch
from objectives.units import as_map
from recipes.activations.collect import CollectedActivations
from recipes.activations.map_geometry import Overlay, overlay, window
from recipes.activations.responses import QUANTILES, PatchRecord, Response, responses
from recipes.outputs.atomic import write_jpeg
from recipes.outputs.manifest import Record
from recipes.pictures.sets import PictureSet
from recipes.runner.units import Unit

PICTURES = "pictures"
"""Folder, below the output folder, of the pictures as the network saw them."""


@dataclass(frozen=True)
class PatchRecords:
    """The units of one layer in the pictures of a set.

    Attributes:
        found: what `collect` kept with `Extremes`.
        layer: address, "" for the output. field: what its units see, None if that is not known.
        objective, count: as in `responses`.
    """

    model: Model
    pictures: PictureSet
    found: CollectedActivations
    layer: str
    field: ReceptiveField | None
    objective: str
    count: int

    def of(self, units: Sequence[Unit]) -> dict[Unit, Response]:
        """What each unit does on the pictures."""
        channels = [unit.channel for unit in units if unit.channel is not None]
        return dict(zip(units, responses(self.found, self.layer, channels, self.objective, self.count), strict=True))

    def summary(self, answers: Sequence[Response]) -> dict[str, Any]:
        """Figures of the whole layer, as a row of a table."""
        side = None if self.field is None else self.field.size
        return {
            "units": len(answers),
            "sees": "unknown" if side is None else "all" if side == math.inf else f"{side:.0f} px",
            "pictures": len(self.found.names) - len(self.found.skipped),
            "skipped": len(self.found.skipped),
            "silent": sum(not answer.most for answer in answers),
        }

    def patch(self, seen: PatchRecord) -> dict[str, Any]:
        """A sighting as JSON: the picture, what the unit saw of it, and how it answered."""
        return {
            "picture": f"{PICTURES}/{seen.picture:06d}.jpg",
            "name": self.found.names[seen.picture],
            "value": seen.value,
            "at": seen.at,
            "window": window(self.field, seen, self.found.size),
        }

    def metrics(self, answer: Response) -> dict[str, Any]:
        """What the manifest says of a unit."""
        values = asdict(answer)
        for kind in ("most", "least"):
            values[kind] = [self.patch(seen) for seen in getattr(answer, kind)]
        values["quantiles"] = dict(zip(map(str, QUANTILES), answer.quantiles, strict=True))
        return {**values, "map": asdict(self._overlay)}

    @property
    def _overlay(self) -> Overlay:
        return overlay(self.field, self.found.shapes[self.layer], self.found.size)

    def finished(
        self, answers: Mapping[Unit, Response], folder: Path, saved: set[int]
    ) -> Iterator[tuple[Record, Tensor]]:
        """The units' records, each with the heat maps of its patches side by side; their pictures are written.

        Args:
            saved: pictures that are in the folder already; those that are added are entered.
        """
        seen = {unit: [*answer.most, *answer.least] for unit, answer in answers.items()}
        maps: dict[Unit, list[Tensor]] = {unit: [torch.empty(0)] * len(places) for unit, places in seen.items()}
        wanted: dict[int, list[tuple[Unit, int]]] = {}
        for unit, places in seen.items():
            for slot, place in enumerate(places):
                wanted.setdefault(place.picture, []).append((unit, slot))
        for picture, image, activation in self._again(sorted(wanted)):
            if picture not in saved:
                write_jpeg(folder / PICTURES / f"{picture:06d}.jpg", image)
                saved.add(picture)
            for unit, slot in wanted[picture]:
                strongest, weakest = answers[unit].most[0].value, answers[unit].least[0].value
                # What excites it most is shown from 0 on, so that it stands out where a layer goes below 0 too.
                zero = strongest > 0 and slot < len(answers[unit].most)
                low = 0.0 if zero else min(0.0, weakest)
                maps[unit][slot] = _heat(activation[unit.channel or 0], low, strongest)
        for unit, answer in answers.items():
            yield self._record(unit, answer), _strip(maps[unit], self._overlay)

    def _again(self, chosen: Sequence[int]) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Some pictures with the layer's maps: (index, picture (C, H, W), maps (channels, h, w))."""
        names = [self.pictures.names[index] for index in chosen]
        part = PictureSet(names, lambda index, size: self.pictures.load(chosen[index], size), self.pictures.readers)
        with self.model.capture([self.layer]) as capture, torch.no_grad():
            for batch in part.batches(self.found.size, default_batch(self.model.device)):
                if not batch.indices:
                    continue
                seen = capture(self.model.normalize(batch.images.to(self.model.device)))[self.layer]
                for index, image, activation in zip(
                    batch.indices, batch.images, as_map(seen, self.layer).float().cpu(), strict=True
                ):
                    yield chosen[index], image, activation

    def _record(self, unit: Unit, answer: Response) -> Record:
        return Record(
            layer=unit.layer,
            channel=unit.channel,
            objective=unit.objective,
            attempt=0,
            seed=0,
            file=unit.file,
            score=answer.most[0].value if answer.most else None,
            steps=0,
            seconds=0.0,
            status="ok" if answer.most else "the same in all pictures",
            name=unit.name,
            metrics=self.metrics(answer),
        )


def _heat(activation: Tensor, low: float, high: float) -> Tensor:
    """A map (H, W) as 8-bit shades from `low` (black) to `high` (white)."""
    return ((activation - low) / max(high - low, 1e-12)).clamp(0, 1).mul(255).round().byte()


def _strip(maps: Sequence[Tensor], where: Overlay) -> Tensor:
    """Heat maps side by side, (1, H, W) in [0, 1], each with its rim."""
    whole = [each if each.ndim == 2 else torch.zeros(where.shape, dtype=torch.uint8) for each in maps]
    rimmed = [np.pad(each.numpy(), where.rim, mode="edge") for each in whole] or [np.zeros((1, 1))]
    return torch.from_numpy(np.concatenate(rimmed, axis=1))[None].float() / 255
