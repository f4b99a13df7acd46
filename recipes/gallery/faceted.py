"""A recipe that may make a picture of each of the several things that a unit responds to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.gallery.likeness import LikeRecipe
from recipes.options.fields import MOST, check_integer, option
from recipes.options.names import address
from recipes.runner.context import RunContext, latest
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

    from objectives import Objective
    from recipes.gallery.dataset_examples import PicturePart
    from recipes.gallery.facet_groups import Facet


@dataclass(frozen=True, kw_only=True)
class FacetRecipe(LikeRecipe):
    """A `LikeRecipe` whose units may have facets (Nguyen et al. 2016, "Multifaceted feature visualization").

    The pictures of `images` that activate a unit most are grouped by what the last stage sees in them. The picture of a
    facet starts at the mean of its group's pictures, and maximises `objectives.facet`: the unit, as far as the code of
    the last compared layer before it has the direction of the group's mean code.
    """

    facets: int | None = option(
        None,
        "number of pictures of each unit, each of one of the things that it responds to: its strongest pictures of "
        "--images in so many groups",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.facets is None:
            return
        check_integer("facets", self.facets, 2, MOST)
        if self.images is None:
            raise BadInput("facets are groups of a unit's strongest pictures of a set: set images to a folder")

    def with_facets(self, context: RunContext, units: Sequence[Unit]) -> list[Unit]:
        """One unit for each facet in place of each unit that enough pictures activate.

        Args:
            context: of the run.
            units: of which `file` ends in the suffix of a picture.

        Raises:
            MissingLibrary: without scikit-learn.
        """
        if self.facets is None:
            return list(units)
        from recipes.gallery.facet_groups import most_facets

        found = []
        for unit in units:
            count = most_facets(self.examples(context), unit, self.facets)
            stem, _, suffix = unit.file.rpartition(".")
            batch = f"{unit.batch} facets" if count > 1 else unit.batch
            files = [f"{stem}-facet-{facet}.{suffix}" for facet in range(count)] if count > 1 else [unit.file]
            found += [replace(unit, file=file, attempt=facet, batch=batch) for facet, file in enumerate(files)]
        return found

    def faceted(
        self, context: RunContext, units: Sequence[Unit], objective: Objective, size: tuple[int, int]
    ) -> tuple[Objective, Tensor | None]:
        """The objective of some units' facets, and the pictures (B, C, *size) at which they start.

        Args:
            context: of the run.
            units: of one batch.
            objective: of the units themselves.
            size: (height, width) of the pictures in pixels.

        Returns:
            The objective as it is, and None, for units without facets.
        """
        if not (found := self._facets(context, tuple(units))):
            return objective, None
        import torch

        from objectives import facet

        vectors, means = (torch.stack([getattr(each, name) for each in found]) for name in ("vector", "mean"))
        starts = torch.stack([each.average(size) for each in found])
        return facet(objective, self._facet_layers(context, units[0])[1], vectors, means), starts

    @latest
    def _facets(self, context: RunContext, units: tuple[Unit, ...]) -> list[Facet]:
        """The facets of a batch; none for units without facets."""
        if self.facets is None:
            return []
        from recipes.gallery.facet_groups import Facet, facets_of, most_facets

        examples, known = self.examples(context), dict[int | None, list[Facet]]()
        for unit in units:
            if (count := most_facets(examples, unit, self.facets)) > 1 and unit.channel not in known:
                layers = self._facet_layers(context, unit)
                known[unit.channel] = facets_of(context.model, examples, unit, count, layers)
        return [known[unit.channel][unit.attempt] for unit in units if unit.channel in known]

    def top(self, context: RunContext, unit: Unit) -> list[PicturePart]:
        found = self._facets(context, (unit,))
        return list(found[0].shown) if found else super().top(context, unit)

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> Sequence[Mapping[str, Any]]:
        """Of a facet, the patches and their number are those of its group."""
        from recipes.gallery.dataset_examples import SHOWN

        rows = super().metrics(context, units, images)
        if not (found := self._facets(context, tuple(units))):
            return rows
        examples, (layer, objective) = self.examples(context), (address(units[0].layer), units[0].objective)
        shown = [examples.shown(examples.records(layer, objective), each.patches[:SHOWN]) for each in found]
        return [
            {**row, "patches": patches, "facet_pictures": len(each.patches)}
            for row, patches, each in zip(rows, shown, found, strict=True)
        ]

    def _facet_layers(self, context: RunContext, unit: Unit) -> tuple[str, str]:
        """The layer whose codes are grouped, and the one whose codes distinguish a facet."""
        from inverter import stages

        where, model = address(unit.layer), context.model
        compared = self.compared_layers(context, where)
        before = [layer for layer in compared if layer != where] or compared
        return stages(model, self.picture_size(model))[-1], before[-1]
