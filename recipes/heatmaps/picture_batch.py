"""A batch of pictures with the scores of targets on them: what several methods need is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from inverter import Model
from objectives import Objective
from recipes.attribution.api import target_scores
from recipes.heatmaps.perception import perceived
from recipes.options.targets import Target


@dataclass(frozen=True)
class TargetScores:
    """A target as an objective for B pictures, its score on each, and the class or channel that it means there.

    `channels` is empty for a target that means no single one.
    """

    objective: Objective
    scores: Sequence[float]
    channels: Sequence[int]


@dataclass(frozen=True, eq=False)
class PictureBatch:
    """Pictures (B, C, H, W) in [0, 1] by name.

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
        """The scores of a target on the pictures.

        Raises:
            BadInput, NotFound, OSError: for a class, channel, layer or file that is not there.
        """
        if target not in self._scores:
            objective = target.objective(self.model, self.images)
            channels = target.resolved(self.model).channels(self.model, self.images) if target.single else []
            self._scores[target] = TargetScores(objective, target_scores(self.model, objective, self.images), channels)
        return self._scores[target]

    def perceived(self, layer: str, steps: int, seed: int) -> Tensor:
        """What a layer keeps of the pictures, (B, C, H, W) in [0, 1]: see `perceived`."""
        if layer not in self._perceived:
            self._perceived[layer] = perceived(self.model, self.images, layer, steps, seed, self.names)
        return self._perceived[layer]

    @cached_property
    def _scores(self) -> dict[Target, TargetScores]:
        return {}

    @cached_property
    def _perceived(self) -> dict[str, Tensor]:
        return {}
