"""Which of two natural patches belongs to a unit, given the pictures: answered by a judge."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model, stages
from objectives import OUTPUT
from objectives.units import as_map
from recipes.evidence.natural_patches import Patch, Pictures

STAGES = 2
"""The judge's last stages that output maps: what they see in a patch is compared."""
BATCH = 16
"""Patches in one forward pass."""


class JudgeFeatures:
    """What a judge sees in patches: the means over positions of its last stages.

    Args:
        judge: a network that took no part in making the pictures.
    """

    def __init__(self, judge: Model) -> None:
        self.judge, self.size = judge, judge.size_for(None)
        self.layers = stages(judge, self.size)[-STAGES:] or [OUTPUT]
        self._pictures = Pictures(len(judge.mean))

    @torch.no_grad()
    def of(self, patches: Sequence[Patch]) -> list[Tensor]:
        """The features of patches, each scaled to the judge's input.

        Args:
            patches: B of them.

        Returns:
            For each layer, (B, C) on the CPU.
        """
        found: list[list[Tensor]] = [[] for _ in self.layers]
        with self.judge.capture(self.layers) as capture:
            for start in range(0, len(patches), BATCH):
                shown = torch.stack([self._pictures.cut(patch, self.size) for patch in patches[start : start + BATCH]])
                seen = capture(self.judge.normalize(shown.to(self.judge.device)))
                for layer, rows in zip(self.layers, found, strict=True):
                    rows.append(as_map(seen[layer], layer).float().mean((2, 3)).cpu())
        return [torch.cat(rows) for rows in found]


def two_patches(pictures: Sequence[Tensor], patches: Sequence[Tensor], same: Tensor) -> list[float | None]:
    """How often each unit's patch is distinguished from another unit's, given both pictures; .5 for guesses.

    The question of the machine interpretability score (Zimmermann et al. 2024, "Measuring Per-Unit Interpretability
    at Scale Without Humans"): two queries q+ and q-, and explanations of the unit E+ and of its opposite E-, answered
    right if s(q+, E+) - s(q+, E-) > s(q-, E+) - s(q-, E-). Here q+ is the strongest patch of unit u, q- that of
    another unit v, E+ the picture of u, E- that of v, and the similarity

        s(q, E) = sum over layers of the judge of cos((e(q) - m) / d, (e(E) - m) / d)

    with e the judge's features, m and d their mean and standard deviation over all patches. Equality counts half.

    Args:
        pictures: features e(E) of the U units' pictures: (U, C) of each layer.
        patches: features e(q) of their patches: (U, C) of each layer.
        same: (U, U), True for pairs that are no question: a unit with itself, patches that show the same.

    Returns:
        The share of right answers over all v, in [0, 1]; None for a unit without a question.

    Example:
        >>> one = torch.eye(3)
        >>> two_patches([one], [one], torch.eye(3, dtype=torch.bool))
        [1.0, 1.0, 1.0]
    """
    count = len(same)
    similar = torch.zeros(count, count)  # of patch (row) and picture (column)
    for seen, expected in zip(pictures, patches, strict=True):
        mean, spread = expected.mean(0), expected.std(0, correction=0) + 1e-6
        similar += F.cosine_similarity(((expected - mean) / spread)[:, None], ((seen - mean) / spread)[None], dim=2)
    own = similar.diagonal()
    margin = own[:, None] + own[None] - similar - similar.T
    right = torch.where(margin == 0, 0.5, (margin > 0).float())
    questions = (~same).sum(1)
    shares = (right * ~same).sum(1) / questions.clamp_min(1)
    return [float(share) if number else None for share, number in zip(shares, questions.tolist(), strict=True)]
