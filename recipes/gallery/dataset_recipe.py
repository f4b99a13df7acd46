"""A recipe whose units are compared with natural pictures: its field, and what it measures with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.evidence.evidence_fields import EvidenceFields
from recipes.options.fields import option
from recipes.options.names import address
from recipes.runner.context import RunContext, once
from recipes.runner.natural_fields import NaturalRecipe
from recipes.runner.units import Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

    from recipes.gallery.dataset_examples import DatasetExamples


@dataclass(frozen=True, kw_only=True)
class ExamplesRecipe(NaturalRecipe):
    """A recipe of units with the patches of natural pictures that activate them most."""

    images: str | Sequence[str] | Dataset[Any] | None = option(
        None,
        "picture or folder to search for the patches that activate each unit most; may be repeated",
        repeat=True,
        was="dataset",
    )
    activations: str | None = option(None, "", hidden=True)  # folder of those that another run collected

    def settings(self) -> dict[str, Any]:
        from recipes.pictures.sets import dataset_paths

        images = None if self.images is None else dataset_paths(self.images)
        return super().settings() | {"images": images}

    @once
    def examples(self, context: RunContext) -> DatasetExamples:
        """The units' responses to the dataset; read from the output folder if they are there."""
        from recipes.gallery.dataset_examples import DatasetExamples

        assert self.images is not None  # only called with a dataset
        layers, size = self.example_layers(context), self.picture_size(context.model)
        known, out = None if self.activations is None else Path(self.activations), Path(self.out)
        return DatasetExamples(
            context.model, self.images, layers, size, out, self.fresh, context.progress, context.executor, known
        )

    def example_layers(self, context: RunContext) -> list[str]:
        """Addresses of the layers whose responses to the dataset are needed."""
        return list(dict.fromkeys(address(unit.layer) for unit in self.units(context)))

    def prepare(self, context: RunContext, units: Sequence[Unit]) -> None:
        if self.images is not None:
            self.examples(context)

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> Sequence[Mapping[str, Any]]:
        from inverter.scoring import evaluate, uncropped

        if self.images is None:
            return super().metrics(context, units, images)
        problem = self.problem(context, units)
        assert isinstance(problem, Problem)
        scores = evaluate(context.model, problem.measure, uncropped(context.model, problem.prior, images))
        return self.examples(context).metrics(units, scores.tolist())


@dataclass(frozen=True, kw_only=True)
class DatasetRecipe(EvidenceFields, ExamplesRecipe):
    """An `ExamplesRecipe` whose pictures come with the evidence for and against them."""

    def settings(self) -> dict[str, Any]:
        return super().settings() | self.judge_settings()
