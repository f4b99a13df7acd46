"""Dataset examples for optimised pictures: the ones that activate the same unit most, and how the scores compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from inverter import Model, receptive_fields
from recipes.activations.collect import CollectedActivations, collect
from recipes.activations.map_geometry import window
from recipes.activations.reducers import Extremes
from recipes.activations.responses import PatchRecord, measured, percentile
from recipes.gallery.patch_records import PICTURES, PatchRecords
from recipes.options.names import OUTPUT_LAYER, address
from recipes.outputs.atomic import write_jpeg
from recipes.outputs.rendering.showing import Showing
from recipes.pictures.sets import Pictures, picture_set
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback

PicturePart: TypeAlias = "tuple[Tensor, list[int]]"
"""A picture (C, H, W), and the part of it that counts: top, left, bottom, right in pixels."""
SHOWN = 4
"""Patches next to each picture."""


class DatasetExamples:
    """The responses of some layers' units to a set of pictures, collected in one pass when it is constructed.

    Args:
        model: the network under inspection.
        pictures: the set.
        layers: addresses of the layers whose units are compared.
        size: (height, width) of the gallery's pictures; those of the set are resized and cropped to it.
        out: the gallery's folder, which gets the activations (`activations`) and the pictures shown (`pictures`).
        fresh: as in `collect`.
        progress: as in `collect`.
        executor: as in `collect`.
        activations: folder in which another run has collected the same; by default they are collected.

    Raises:
        InverterError: as `collect`.
        OSError: as `collect`.
    """

    def __init__(
        self,
        model: Model,
        pictures: Pictures,
        layers: Sequence[str],
        size: tuple[int, int],
        out: Path,
        fresh: bool = False,
        progress: RunProgressCallback | None = None,
        executor: Executor | None = None,
        activations: Path | None = None,
    ) -> None:
        self.model, self.out, self.saved = model, out, set[int]()
        self.pictures = picture_set(pictures, len(model.mean), model.value_range)
        self.fields = receptive_fields(model, layers, size)
        if activations is not None:
            self.collected = CollectedActivations.load(activations)
            return
        folder = out / "activations"
        self.collected = collect(
            model,
            self.pictures,
            layers,
            Extremes(),
            out=folder,
            size=size,
            fresh=fresh,
            progress=progress,
            executor=executor,
        )

    def metrics(self, units: Sequence[Unit], scores: Sequence[float]) -> list[dict[str, Any]]:
        """Compares optimised pictures with those of the set.

        Args:
            units: of one layer.
            scores: of their optimised pictures.

        Returns:
            JSON values for each unit: `percentile`, the percentage of the set's pictures that score lower on the same
            objective; `dataset_highest`, the highest score among them; `dataset_pictures`, their number; `patches`,
            the patches of the set that activate the unit most (least, for a picture that minimises it).
        """
        layer = address(units[0].layer)
        kind = units[0].objective
        records = self.records(layer, kind)
        responses, rows = records.responses(units), list[dict[str, Any]]()
        for unit, score in zip(units, scores, strict=True):
            values = measured(self.collected, layer, unit.channel or 0, kind)
            patches = responses[unit].most if unit.direction == "max" else responses[unit].least
            metrics: dict[str, Any] = {
                "percentile": percentile(values, score),
                "dataset_highest": float(values.max()),
                "dataset_pictures": len(values),
            }
            if patches:
                metrics["patches"] = self.shown(records, patches)
            rows.append(metrics)
        return rows

    def strongest(self, unit: Unit, count: int) -> list[PatchRecord]:
        """The pictures that activate a unit most, strongest first, as far as they activate it at all.

        Args:
            unit: of one of the layers.
            count: of pictures, at most.
        """
        most = self.records(address(unit.layer), unit.objective, count).responses([unit])[unit].most
        return [patch for patch in most if patch.value > 0 or unit.layer == OUTPUT_LAYER]

    def parts(self, unit: Unit, patches: Sequence[PatchRecord]) -> list[PicturePart]:
        """The pictures of patches, each with the part of it that the unit sees.

        Args:
            unit: of one of the layers.
            patches: of the unit.
        """
        field, size = self.fields[address(unit.layer)], self.collected.size
        return [(self.pictures.read(patch.picture, size), window(field, patch, size)) for patch in patches]

    def shown(self, records: PatchRecords, patches: Sequence[PatchRecord]) -> list[dict[str, Any]]:
        """Patches as the manifest records them; their pictures are written to the folder.

        Args:
            records: of their layer.
            patches: of a unit of it.

        Returns:
            JSON values for each patch.
        """
        for patch in patches:
            self._save(patch.picture)
        return [records.patch(patch) for patch in patches]

    def records(self, layer: str, objective: str, count: int = SHOWN) -> PatchRecords:
        """The patch records of a layer.

        Args:
            layer: its address.
            objective: as in `responses`; classes are ranked by their logits, as probabilities all but tie at 0 and 1.
            count: of patches for each unit, at most.
        """
        ranked = "logit" if objective == "softmax" else objective
        return PatchRecords(self.model, self.pictures, self.collected, layer, self.fields[layer], ranked, count)

    def _save(self, picture: int) -> None:
        if picture not in self.saved:
            image = self.pictures.read(picture, self.collected.size)
            write_jpeg(self.out / PICTURES / f"{picture:06d}.jpg", Showing.of(self.model).picture(image))
            self.saved.add(picture)
