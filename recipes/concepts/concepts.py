"""Concept activation vectors and TCAV: which concepts a layer separates, and which of them a class depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, plural
from recipes.concepts.choices import POOLINGS, SEPARATORS, Pooling, Separator
from recipes.options.fields import MOST, check_integer, option, texts
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.outputs.file_names import safe_name
from recipes.runner.context import RunContext, once
from recipes.runner.natural_fields import NaturalRecipe
from recipes.runner.units import Problem, Unit

if TYPE_CHECKING:
    from inverter import Directions
    from recipes.concepts.concept_testing import ConceptTests
    from recipes.outputs.manifest import Record


@dataclass(frozen=True, kw_only=True)
class Concepts(NaturalRecipe):
    """Concept activation vectors (CAV) and TCAV scores (Kim et al. 2018).

    A concept is a folder of pictures. What separates their activations at a layer from those of other pictures is the
    concept's vector; the accuracy on held-out pictures says whether the layer knows the concept. The TCAV score of a
    class is the share of its photographs whose logit grows along the vector. Each is measured against several random
    sets of the other pictures, and compared with vectors of random sets in a two-sided t-test, with Bonferroni's
    correction over all concepts, layers and classes. A picture that climbs the vector shows what it stands for.

    The output folder has the vectors as a set of directions for each layer (`directions/LAYER.safetensors`).

    Raises:
        BadInput: for a missing place or layer, two concepts of one name, a value out of range, classes without
            photographs, or (in `run`) too few pictures, or a class that does not depend on the layer.

    Example:
        >>> Concepts(positive="striped", negative="others", layer="features.9", out="OUT").runs
        20
    """

    name: ClassVar[str] = "concepts"

    positive: str | Sequence[str] = option(
        MISSING,
        "folder of pictures of a concept, whose name is the concept's, or NAME=FOLDER; may be repeated",
        repeat=True,
        grows=True,
    )
    negative: str | Sequence[str] = option(
        MISSING, "folder of pictures without the concepts, the more the better; may be repeated", repeat=True
    )
    layer: str | Sequence[str] = option(
        MISSING, "address of a layer with maps or vectors; may be repeated", repeat=True, grows=True
    )
    class_: str | int | Sequence[int | str] | None = option(
        None, "classes to score, as names, indices 9,40,71 or ranges 0-15; may be repeated", repeat=True, grows=True
    )
    images: str | Sequence[str] | None = option(
        None,
        "folder of photographs of the classes, or CLASS=FOLDER for those of one class; may be repeated",
        repeat=True,
        grows=True,
    )
    runs: int = option(20, "number of random sets that each concept is separated from")
    separator: Separator = option(
        "logistic",
        "how a vector is found: logistic (regression), sgd (a linear SVM, as in Captum) or difference (of the means)",
        choices=SEPARATORS,
    )
    pooling: Pooling = option(
        "mean",
        "activations that are separated: mean (over the places) or none (all values of the layer, as in the paper)",
        choices=POOLINGS,
    )
    significance: float = option(0.05, "level of the t-test, before Bonferroni's correction")
    prior: PriorLike = option("fourier", HELP)
    steps: int | None = option(
        None, "optimisation steps for each picture (default: 32 with the fourier prior, 48 on networks of patches)"
    )
    out: str = option("concepts", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("positive", "negative", "layer"):
            values = texts(getattr(self, key))
            if not values or not all(isinstance(value, str | Path) and str(value) for value in values):
                raise BadInput(f"{key}: got {getattr(self, key)!r}; expected one or more texts")
        check_integer("runs", self.runs, 2, MOST)
        if not isinstance(self.significance, int | float) or not 0 < self.significance < 1:
            raise BadInput(f"significance must be between 0 and 1, got {self.significance!r}")
        PriorChoice.parse(self.prior)
        _ = self.concepts
        if self.class_ is not None and not self.places:
            raise BadInput("class is given but no images: set images to photographs of the class")
        if self.places and self.class_ is None and not all("=" in place for place in self.places):
            raise BadInput("images are given but no class: set class to the classes that they show")

    @property
    def concepts(self) -> dict[str, str]:
        """The places of the concepts, by name."""
        from recipes.concepts.concept_sets import named_places

        return named_places([str(place) for place in texts(self.positive)], "positive")

    @property
    def layers(self) -> tuple[str, ...]:
        """The addresses of the layers."""
        return tuple(dict.fromkeys(texts(self.layer)))

    @property
    def places(self) -> tuple[str, ...]:
        """The places of the photographs, as the user wrote them."""
        return () if self.images is None else tuple(map(str, texts(self.images)))

    def settings(self) -> dict[str, Any]:
        # One spelling of what has several, so that a run can be resumed with any of them.
        classes = self.class_
        return super().settings() | {
            "positive": [str(place) for place in texts(self.positive)],
            "negative": [str(place) for place in texts(self.negative)],
            "layer": list(self.layers),
            "class": [classes] if isinstance(classes, str | int) else classes and list(classes),
            "images": list(self.places) or None,
            "prior": str(PriorChoice.parse(self.prior)),
        }

    @once
    def _tests(self, context: RunContext) -> ConceptTests:
        """The activations of all pictures, with the vectors and scores that follow from them."""
        from recipes.concepts.concept_testing import ConceptTests

        return ConceptTests(self, context)

    @once
    def _directions(self, context: RunContext, layer: str) -> Directions:
        return self._tests(context).directions(layer)

    def units(self, context: RunContext) -> list[Unit]:
        model, size = context.model, self.picture_size(context.model)
        PriorChoice.parse(self.prior).check(size, model)
        for layer in self.layers:
            model.check_layer(layer)
        for layer, shape in model.shapes(self.layers, size).items():
            if len(shape) not in (2, 4) or (len(shape) == 2 and self.pooling == "none"):
                raise BadInput(
                    f"layer {layer!r} outputs a tensor of shape {tuple(shape)}, expected a map (B, C, H, W)"
                    f"{'' if self.pooling == 'none' else ' or a vector (B, C)'}: choose another layer"
                )
        return [
            Unit(
                layer,
                None,
                "direction",
                f"images/{safe_name(layer)}/{safe_name(concept)}.png",
                name=concept,
                batch=layer,
                made_from=f"{concept} in {place}",
            )
            for layer in self.layers
            for concept, place in self.concepts.items()
        ]

    def prepare(self, context: RunContext, units: Sequence[Unit]) -> None:
        for layer in self.layers:
            self._save(context, layer)

    def _save(self, context: RunContext, layer: str) -> None:
        self._directions(context, layer).save(Path(self.out) / "directions" / f"{safe_name(layer)}.safetensors")

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem:
        from objectives import direction
        from recipes.gallery.posed import posed

        found, layer = self._directions(context, units[0].layer), units[0].layer
        rows = [found.names.index(str(unit.name)) for unit in units]
        return posed(self, context.model, self.prior, len(units), direction(layer, found.decoder[rows]))

    def evidence(self, context: RunContext, records: Sequence[Record], folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """Accuracies and scores. They are of all concepts, layers and classes together, which a run may add to."""
        for layer in self.layers:
            self._save(context, layer)
        return self._tests(context).metrics(records, folder)

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for record in records:
            known = {"concept": record.name, "layer": record.layer, "accuracy": record.metrics.get("accuracy")}
            rows += [
                known | {key: value for key, value in tested.items() if key != "index"}
                for tested in record.metrics.get("tcav") or [{}]
            ]
        return rows

    def closing(self, records: Sequence[Record]) -> str | None:
        tested = [each for record in records for each in record.metrics.get("tcav", [])]
        if not tested:
            return None
        kept = sum(bool(each["significant"]) for each in tested)
        return (
            f"{kept} of {plural(len(tested), 'TCAV score')} differ from those of random vectors "
            f"(p < {self.significance:g} / {len(tested)})"
        )

    def skipped(self, context: RunContext) -> Mapping[str, str]:
        return self._tests(context).skipped

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.concepts.concepts_page import render_concepts

        return render_concepts(manifest)
