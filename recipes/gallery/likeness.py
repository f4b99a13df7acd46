"""A recipe whose pictures may be held to the features of a few photographs: of a class, or a unit's top patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.gallery.dataset_recipe import DatasetRecipe
from recipes.options.fields import OPTIMISATION, option
from recipes.options.names import address
from recipes.runner.context import RunContext, latest, once
from recipes.runner.natural_fields import no_later
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from objectives import FeatureStatistics, Objective
    from recipes.gallery.dataset_examples import PicturePart

TOP = "top"
"""In place of a folder: the pictures of `images` that activate the unit most."""
CLASSES = ("logit", "softmax")
"""Objectives of units that are classes."""
COUNT = 16
"""Photographs of a reference, at most."""
LAYERS = 4
"""Layers whose distributions are matched: the last ones before the unit. Earlier ones are large, and slow to sort."""
RANKS = 64
UNIT_LIKE_WEIGHT, CLASS_LIKE_WEIGHT = 0.1, 1.0
"""Default weights, relative to the score: of the weight that suits classes, units become dim."""


@dataclass(frozen=True, kw_only=True)
class LikeRecipe(DatasetRecipe):
    """A `DatasetRecipe` that may add `objectives.distribution` to its objective."""

    like: str | None = option(
        None,
        "hold the pictures to the features of photographs: a folder, such as photographs of the class, or top for the "
        "pictures of --images that activate each unit most",
        group=OPTIMISATION,
    )
    like_weight: float | None = option(
        None,
        "weight of these photographs relative to the objective's score (default: 1 for classes, else .1)",
        group=OPTIMISATION,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.like == TOP and self.images is None:
            raise BadInput("like top means the strongest pictures of a set: set images to a folder, or like to one")
        if self.like_weight is not None and not 0 < self.like_weight <= 1e6:
            raise BadInput(f"like_weight must be above 0 and at most 1e6, got {self.like_weight!r}")

    def recorded_settings(self, context: RunContext) -> dict[str, Any]:
        if self.like not in (None, TOP):
            self._photographs(context)  # a folder that is not there is an error before anything is written
        return super().recorded_settings(context)

    def alike(self, context: RunContext, units: Sequence[Unit], objective: Objective) -> Objective:
        """The objective, held to the photographs that `like` names.

        Args:
            context: of the run.
            units: of the objective, of one layer.
            objective: what is maximised.

        Raises:
            BadInput: for a unit that no picture activates, or photographs that cannot be read.
            MissingFile: for a folder that is not there.
        """
        if self.like is None:
            return objective
        from objectives import distribution
        from objectives.naturalness import held

        usual = CLASS_LIKE_WEIGHT if units[0].objective in CLASSES else UNIT_LIKE_WEIGHT
        weight = usual if self.like_weight is None else self.like_weight
        references, relevances = zip(*self._references(context, tuple(units)), strict=True)
        return held(objective, distribution(None, references, relevances), weight, "alike")

    @latest
    def _references(
        self, context: RunContext, units: tuple[Unit, ...]
    ) -> list[tuple[FeatureStatistics, dict[str, Tensor]]]:
        """What the photographs do at some layers, and how much each channel counts for the unit."""
        from objectives import channel, logit

        found = []
        for unit in units:
            where, index = address(unit.layer), unit.channel or 0
            measure = logit(index, where) if unit.objective in CLASSES else channel(where, index)
            measure = measure if unit.direction == "max" else -measure
            pictures = self.top(context, unit) if self.like == TOP else self._photographs(context)
            found.append(reference(context.model, pictures, measure, self.compared_layers(context, where)))
        return found

    @once
    def compared_layers(self, context: RunContext, where: str) -> list[str]:
        """The layers at which pictures are compared for the units of a layer: the last ones no later than that."""
        from recipes.activations.compared_layers import default_layers

        model = context.model
        return no_later(model, default_layers(model, self.picture_size(model)), [where])[-LAYERS:]

    def top(self, context: RunContext, unit: Unit) -> list[PicturePart]:
        """The pictures of `images` that a unit is held to.

        Args:
            context: of the run.
            unit: of one of the layers.

        Raises:
            BadInput: if none activates it.
        """
        examples = self.examples(context)
        if not (patches := examples.strongest(unit, COUNT)):
            raise BadInput(f"no picture of images activates {unit.layer}:{unit.channel}: leave out like")
        return examples.parts(unit, patches)

    @once
    def _photographs(self, context: RunContext) -> list[PicturePart]:
        from recipes.pictures.sets import picture_set

        model, size = context.model, self.picture_size(context.model)
        photographs = picture_set(self.like or "", len(model.mean), model.value_range)
        return [(photographs.read(i, size), [0, 0, *size]) for i in range(min(COUNT, len(photographs)))]


def reference(
    model: Model, pictures: Sequence[PicturePart], measure: Objective, layers: Sequence[str]
) -> tuple[FeatureStatistics, dict[str, Tensor]]:
    """The distributions of a few pictures' features, and the relevance of the channels for an objective.

    Args:
        model: the network.
        pictures: each (C, H, W), with the part of it that counts: top, left, bottom, right in pixels.
        measure: the objective.
        layers: addresses of layers with maps that run no later than those of the objective.

    Returns:
        Statistics with `RANKS` sorted values of each channel, averaged over the pictures, and layer -> (C,): the mean
        over pictures and positions of activation times gradient, where that is positive (as VITAL weighs channels).
    """
    import torch

    from objectives import Activations, FeatureStatistics, LayerStatistics
    from objectives.distributions import sorted_values
    from objectives.naturalness import moments
    from recipes.activations.map_geometry import covered

    rows: dict[str, list[tuple[Tensor, ...]]] = {layer: [] for layer in layers}
    size = (pictures[0][0].shape[1], pictures[0][0].shape[2])
    with model.capture([*layers, *measure.reads]) as capture, torch.enable_grad():
        for picture, window in pictures:
            shown = picture[None].to(model.device).requires_grad_()
            captured = capture(model.normalize(shown))
            maps = [captured[layer] for layer in layers]
            score = measure.score(Activations(captured, shown)).sum()
            for layer, values, gradient in zip(
                layers, maps, torch.autograd.grad(score, maps, allow_unused=True), strict=True
            ):
                part = covered(values.detach(), window, size).float()
                counts = torch.ones_like(part) if gradient is None else covered(gradient, window, size) * part
                rows[layer].append((*moments(part), counts.mean((2, 3)), sorted_values(part, RANKS)))
    known, relevance = {}, {}
    for layer, parts in rows.items():
        mean, std, counts, ordered = (torch.cat(each).cpu() for each in zip(*parts, strict=True))
        known[layer] = LayerStatistics(
            mean.mean(0), std.mean(0), mean.std(0, correction=0), std.std(0, correction=0), ordered.mean(0)
        )
        weights = counts.mean(0).clamp_min(0)
        relevance[layer] = weights if bool(weights.any()) else torch.ones_like(weights)
    return FeatureStatistics(known, model.spec, model.sha256, len(pictures), size, "reference pictures"), relevance
