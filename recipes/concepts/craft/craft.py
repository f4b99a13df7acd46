"""CRAFT: the concepts of a class, as non-negative components of what a layer sees in crops of its photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, plural
from recipes.options.fields import LARGEST, MOST, check_integer, option, texts
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.options.targets import TOP, Target
from recipes.outputs.file_names import safe_name
from recipes.runner.context import RunContext, once
from recipes.runner.natural_fields import NaturalRecipe
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Directions
    from recipes.concepts.craft.bank import ConceptBank
    from recipes.outputs.manifest import Record
    from recipes.pictures.inputs import InputPictures

CROP = 2 / 7
"""Default side of a crop, as a share of the photograph's: 64 pixels of 224, as in the authors' code."""
PHOTOGRAPH = "components"
"""The objective of a unit that is a photograph with its components drawn over it."""


@dataclass(frozen=True, kw_only=True)
class Craft(NaturalRecipe):
    """Concept components of a class and their importance (Fel et al. 2023, CRAFT).

    Crops of the class's photographs are shown to the network; the activations A of the layer, averaged over places, are
    factorised as A ~ U W with non-negative factors, so that each row of W is a component. In each photograph, the
    components' amounts at every place are masked at random and the network goes on from them: the total Sobol index of
    a component is its share in the variance of the logit. Each component is shown by the crops with the most of it, by
    maps over photographs, and by a picture that climbs it.

    The output folder has the components as a set of directions (`directions/LAYER.safetensors`).

    Raises:
        BadInput: for a missing place or layer, a value out of range, or (in `run`) a layer whose activations are
            negative, more components than crops, or an unknown class.

    Example:
        >>> Craft(images="flamingos", class_="flamingo", layer="features.12", out="OUT").count
        10
    """

    name: ClassVar[str] = "craft"

    images: str | Sequence[str] = option(
        MISSING, "photographs of the class: picture or folder; may be repeated", repeat=True
    )
    class_: str | int = option(
        TOP, "class whose logit counts: a name, an index, or top, the predicted class of each photograph"
    )
    layer: str = option(MISSING, "address of a layer whose activations are 0 or above (after a ReLU)")
    count: int = option(10, "number of components")
    crop: int | None = option(None, "side of the crops in pixels (default: 2/7 of the photographs')")
    designs: int = option(32, "quasi-random masks of a photograph, times the number of components + 2")
    prior: PriorLike = option("fourier", HELP)
    steps: int | None = option(
        None, "optimisation steps for each picture (default: 32 with the fourier prior, 48 on networks of patches)"
    )
    out: str = option("craft", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("images", "layer"):
            values = texts(getattr(self, key))
            if not values or not all(isinstance(value, str | Path) and str(value) for value in values):
                raise BadInput(f"{key}: got {getattr(self, key)!r}; expected a text")
        if not isinstance(self.layer, str):
            raise BadInput(f"layer: got {self.layer!r}; expected the address of one layer")
        check_integer("count", self.count, 2, MOST)
        check_integer("designs", self.designs, 2, 1 << 16)
        if self.crop is not None:
            check_integer("crop", self.crop, 1, LARGEST)
        PriorChoice.parse(self.prior)
        _ = self._target

    @property
    def _target(self) -> Target:
        return Target.parse(f"logit:{self.class_}")

    def settings(self) -> dict[str, Any]:
        # One spelling of what has several, so that a run can be resumed with any of them.
        images = [str(place) for place in texts(self.images)]
        prior = str(PriorChoice.parse(self.prior))
        return super().settings() | {"images": images, "class": str(self.class_), "prior": prior}

    @once
    def _photographs(self, context: RunContext) -> InputPictures:
        from recipes.pictures.inputs import InputPictures

        model = context.model
        return InputPictures.find([str(p) for p in texts(self.images)], len(model.mean), (), model.value_range)

    @once
    def bank(self, context: RunContext) -> ConceptBank:
        """The components, with all that is drawn from them."""
        from recipes.concepts.craft.bank import ConceptBank

        size = self.picture_size(context.model)
        side = self.crop or max(1, round(CROP * size[0]))
        return ConceptBank(context, self._photographs(context), self.layer, self.count, size, side, self)

    @property
    def directions_file(self) -> Path:
        """Where the components are kept."""
        return Path(self.out) / "directions" / f"{safe_name(self.layer)}.safetensors"

    def units(self, context: RunContext) -> list[Unit]:
        model, size = context.model, self.picture_size(context.model)
        PriorChoice.parse(self.prior).check(size, model)
        self._target.resolved(model)
        self.bank(context).check()
        photographs = [
            Unit(
                self.layer,
                None,
                PHOTOGRAPH,
                f"photographs/{safe_name(name)}.png",
                image=name,
                batch=PHOTOGRAPH,
                made_from=str(file),
            )
            for name, file in self._photographs(context).files.items()
        ]
        components = [
            Unit(
                self.layer,
                index,
                "direction",
                f"images/component-{index:03d}.png",
                name=f"component {index}",
                batch="direction",
                extra_files={kind: f"images/component-{index:03d}-{kind}.png" for kind in ("crops", "maps")},
            )
            for index in range(self.count)
        ]
        return photographs + components

    def prepare(self, context: RunContext, units: Sequence[Unit]) -> None:
        self._directions(context)

    @once
    def _directions(self, context: RunContext) -> Directions:
        return self.bank(context).directions

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem | Given:
        from objectives import direction
        from recipes.gallery.posed import posed

        if units[0].objective == PHOTOGRAPH:
            return self.bank(context).drawn([str(unit.image) for unit in units], self._target)
        vectors = self._directions(context).decoder[[unit.channel for unit in units if unit.channel is not None]]
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
        return posed(self, context.model, self.prior, len(units), direction(self.layer, vectors))

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        """Writes the crops and maps of components; their importance is known once all photographs are done."""
        bank, out = self.bank(context), Path(self.out)
        return [bank.examples(unit.channel or 0, {k: out / f for k, f in unit.extra_files.items()}) for unit in units]

    def evidence(self, context: RunContext, records: Sequence[Record], folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """The importance of each component, the mean over the photographs, with its rank."""
        import numpy as np

        photographs = sorted((r for r in records if r.objective == PHOTOGRAPH), key=lambda record: record.file)
        found = np.array([record.metrics["importance"] for record in photographs])  # sums depend on their order
        mean, error = found.mean(0), found.std(0) / np.sqrt(len(found))
        ranks = np.argsort(np.argsort(-mean, kind="stable"))
        return {
            record.file: {
                "importance": float(mean[record.channel]),
                "importance_error": float(error[record.channel]),
                "rank": int(ranks[record.channel]) + 1,
            }
            for record in records
            if record.channel is not None
        }

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        rows = [
            {"component": record.channel, **{key: record.metrics[key] for key in ("importance", "importance_error")}}
            for record in records
            if "rank" in record.metrics
        ]
        return sorted(rows, key=lambda row: -float(row["importance"]))

    def closing(self, records: Sequence[Record]) -> str | None:
        made = [record.metrics for record in records if record.objective == PHOTOGRAPH and record.metrics]
        kept = sum(metrics["same_class"] for metrics in made)
        error = next((r.metrics["error"] for r in records if "error" in r.metrics), None)
        if not made or error is None:
            return None
        return (
            f"the components leave {100 * error:.0f} % of the crops' activations unexplained; from them alone, "
            f"{kept} of {plural(len(made), 'photograph')} keep their class"
        )

    def skipped(self, context: RunContext) -> Mapping[str, str]:
        return self._photographs(context).unreadable

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.concepts.craft.page import render_craft

        return render_craft(manifest)
