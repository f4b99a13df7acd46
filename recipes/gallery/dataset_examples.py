"""What stands beside optimised pictures: the natural ones that excite the same unit, and how the two compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter import Model, receptive_fields
from recipes.activations.collect import collect
from recipes.activations.reducers import Extremes
from recipes.activations.responses import measured, percentile
from recipes.gallery.patch_records import PICTURES, PatchRecords
from recipes.options.names import address
from recipes.outputs.atomic import write_jpeg
from recipes.pictures.sets import Pictures, picture_set
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback

SHOWN = 4
"""Patches beside each picture."""


class DatasetExamples:
    """The pictures of a set, as the units of a gallery see them: it looks at all of them once, when it is made.

    Args:
        units: the gallery's. size: (height, width) of its pictures: the natural ones are cut to the same.
        out: its folder. The activations are kept there (`activations`), and the pictures that are shown (`pictures`).
        fresh, progress, executor: as in `collect`, which also says what is raised.
    """

    def __init__(
        self,
        model: Model,
        pictures: Pictures,
        units: Sequence[Unit],
        size: tuple[int, int],
        out: Path,
        fresh: bool = False,
        progress: RunProgressCallback | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.model, self.out, self.saved = model, out, set[int]()
        self.pictures = picture_set(pictures, len(model.mean))
        layers = list(dict.fromkeys(address(unit.layer) for unit in units))
        self.fields = receptive_fields(model, layers, size)
        folder = out / "activations"
        self.found = collect(
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
        """For units of one layer with these scores, as JSON: `percentile`, `natural_highest` and `patches`.

        `percentile` is the share of the natural pictures, in percent, that score below the optimised one on the same
        objective; `natural_highest` is the score of the best of them. `patches` are where the unit's most (for a
        picture that minimises it, least) exciting pictures excite it.
        """
        layer = address(units[0].layer)
        # Classes are ranked by their logits, whatever the objective: probabilities all but tie at 0 and 1.
        kind = units[0].objective
        ranked = "logit" if kind == "softmax" else kind
        seen = PatchRecords(self.model, self.pictures, self.found, layer, self.fields[layer], ranked, SHOWN)
        answers, found = seen.of(units), list[dict[str, Any]]()
        for unit, score in zip(units, scores, strict=True):
            natural = measured(self.found, layer, unit.channel or 0, kind)
            places = answers[unit].most if unit.direction == "max" else answers[unit].least
            metrics: dict[str, Any] = {
                "percentile": percentile(natural, score),
                "natural_highest": float(natural.max()),
                "natural_pictures": len(natural),
            }
            if places:
                metrics["patches"] = [seen.patch(place) for place in places]
            found.append(metrics)
            for place in places:
                self._save(place.picture)
        return found

    def _save(self, picture: int) -> None:
        if picture not in self.saved:
            image = self.pictures.read(picture, self.found.size)
            write_jpeg(self.out / PICTURES / f"{picture:06d}.jpg", image)
            self.saved.add(picture)
