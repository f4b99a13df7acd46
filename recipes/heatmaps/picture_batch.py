"""A batch of images with the scores of targets on them: results that several methods need are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from inverter import Model
from objectives import Objective
from recipes.attribution.api import target_scores
from recipes.heatmaps.perception import preimages
from recipes.options.targets import Target


@dataclass(frozen=True)
class TargetScores:
    """A target on a batch of B images.

    Attributes:
        objective: the target as an objective for these images.
        scores: the score of each image.
        channels: the class or channel of each image; empty for a target that is not a single one.
    """

    objective: Objective
    scores: Sequence[float]
    channels: Sequence[int]


@dataclass(frozen=True, eq=False)
class PictureBatch:
    """Images by name.

    Attributes:
        model: the network.
        names: of the images.
        images: (B, C, H, W) in [0, 1].

    Example:
        >>> import torch
        >>> from inverter import load_model
        >>> batch = PictureBatch(load_model("builtin"), ["noise"], torch.rand(1, 3, 64, 64))
        >>> len(batch.scores_of(Target.parse("logit:3")).scores)
        1
    """

    model: Model
    names: Sequence[str]
    images: Tensor

    def scores_of(self, target: Target) -> TargetScores:
        """The scores of a target on the images.

        Args:
            target: as the user gave it.

        Raises:
            BadInput: for an unknown class, a channel out of range, or an unsuitable file.
            NotFound: for an unknown layer.
            MissingFile: for a missing file.
        """
        if target not in self._scores:
            objective = target.objective(self.model, self.images)
            channels = target.resolved(self.model).channels(self.model, self.images) if target.single else []
            self._scores[target] = TargetScores(objective, target_scores(self.model, objective, self.images), channels)
        return self._scores[target]

    def preimages(self, layer: str, steps: int, seed: int) -> Tensor:
        """Reconstructions of the images from a layer, (B, C, H, W) in [0, 1]: see `preimages`."""
        if layer not in self._preimages:
            self._preimages[layer] = preimages(self.model, self.images, layer, steps, seed, self.names)
        return self._preimages[layer]

    @cached_property
    def _scores(self) -> dict[Target, TargetScores]:
        return {}

    @cached_property
    def _preimages(self) -> dict[str, Tensor]:
        return {}
