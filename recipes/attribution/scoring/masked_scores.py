"""Scores of images under many masks: batched, streamed, and in half precision where it agrees with float32."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from inverter import Model, Settings
from inverter.ascent.folding import Folding
from objectives import Objective
from priors.precision import has_bfloat16
from recipes.attribution.scoring.forward import Score, copies_at_once, score_function

BFLOAT16_TOLERANCE = 0.1
"""bfloat16 is used for an image if it changes the scores by at most this share of their standard deviation over masks.

Maps are means over many masks and differ far less. An offset common to all scores is measured and subtracted."""


@torch.no_grad()
def score_masked(
    model: Model, images: Tensor, target: Objective, masks: Iterable[Tensor], baselines: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores of the masked images m x + (1 - m) x', for every mask m and image x with its baseline x'.

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        target: the objective.
        masks: groups (n, H, W) in [0, 1]; only one group is held at a time (`masks_at_once` gives its size).
        baselines: (B, 3, H, W), shown where a mask is 0.

    Yields:
        masks (n, H, W), scores (B, n).
    """
    with score_function(model, target) as score:
        fast = Folding(model.layout)
        scorers = [_MixedPrecisionScore(model, score, fast, row) for row in range(len(images))]
        for group in masks:
            kept = group[:, None]
            # In channels-last order, a first convolution takes half the time.
            shown = (
                torch.lerp(x0, x, kept).to(memory_format=torch.channels_last)
                for x, x0 in zip(images, baselines, strict=True)
            )
            yield group, torch.stack([scorer(copies) for scorer, copies in zip(scorers, shown, strict=True)])


def masks_at_once(model: Model, images: Tensor) -> int:
    """How many masks of one image are processed in one forward pass."""
    return copies_at_once(model, images[:1], gradient=False)


class _MixedPrecisionScore:
    """Scores masked copies of one image: the first group in float32, the others in bfloat16 if both agree on the first.

    Each image of a batch is decided on its own, so that a map does not depend on the batch.
    """

    def __init__(self, model: Model, score: Score, fast: Folding, row: int) -> None:
        self.device, self.dtype, self.score, self.fast, self.row = model.device, model.dtype, score, fast, row
        self.half: bool | None = None
        self.offset = torch.zeros((), dtype=torch.float32, device=model.device)  # of all scores in bfloat16

    def __call__(self, copies: Tensor) -> Tensor:
        if self.half is not None:
            return self._scores(copies, self.half) + self.offset
        exact, self.half = self._scores(copies, False), False
        if len(copies) > 1 and self.dtype == torch.float32 and has_bfloat16(self.device):
            moved = exact - self._scores(copies, True)
            self.half = bool(moved.std() <= BFLOAT16_TOLERANCE * exact.std())
            if self.half:
                self.offset = moved.mean()
        return exact

    def _scores(self, copies: Tensor, half: bool) -> Tensor:
        rows = torch.full((len(copies),), self.row, device=copies.device)
        with Settings(precision="bfloat16" if half else "float32").autocast(self.device, self.dtype), self.fast:
            return self.score(copies, rows)
