"""Scores of pictures seen through many masks: batched, streamed, and in half precision where that changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from inverter import Model, Settings
from inverter.folding import Folding
from inverter.settings import has_bfloat16
from objectives import Objective
from recipes.attribution.scoring.forward import Score, copies_at_once, score_function

BFLOAT16_TOLERANCE = 0.1
"""bfloat16 is taken for a picture whose scores it moves by at most this share of their spread over masks.

Maps are means over many masks: they differ far less. What moves all scores alike is measured and taken off."""


@torch.no_grad()
def score_masked(
    model: Model, images: Tensor, target: Objective, masks: Iterable[Tensor], nothing: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Groups of masks, each with the scores of all pictures behind it: m x + (1 - m) x', of pictures x and nothing x'.

    Args:
        images: (B, 3, H, W). nothing: the same; what is seen where a mask is 0.
        masks: groups (n, H, W) in [0, 1]; only one group is held at a time (`at_once` says how large it should be).

    Yields:
        masks (n, H, W), scores (B, n).
    """
    with score_function(model, target) as score:
        fast = Folding()
        scorers = [_Agreeing(model, score, fast, row) for row in range(len(images))]
        for group in masks:
            kept = group[:, None]
            # Channels last: a first convolution takes half the time.
            shown = (
                torch.lerp(x0, x, kept).to(memory_format=torch.channels_last)
                for x, x0 in zip(images, nothing, strict=True)
            )
            yield group, torch.stack([scorer(copies) for scorer, copies in zip(scorers, shown, strict=True)])


def masks_at_once(model: Model, images: Tensor) -> int:
    """How many masks of one picture are worked on together."""
    return copies_at_once(model, images[:1])


class _Agreeing:
    """Scores copies of one picture: the first in float32, the others in bfloat16 if that agreed on the first.

    The pictures of a batch are judged one by one, so that a map does not depend on its company.
    """

    def __init__(self, model: Model, score: Score, fast: Folding, row: int) -> None:
        self.device, self.score, self.fast, self.row = model.device, score, fast, row
        self.half: bool | None = None
        self.offset = torch.zeros((), device=model.device)  # by which bfloat16 moves all scores

    def __call__(self, copies: Tensor) -> Tensor:
        if self.half is not None:
            return self._scores(copies, self.half) + self.offset
        exact, self.half = self._scores(copies, False), False
        if len(copies) > 1 and has_bfloat16(self.device):
            moved = exact - self._scores(copies, True)
            self.half = bool(moved.std() <= BFLOAT16_TOLERANCE * exact.std())
            if self.half:
                self.offset = moved.mean()
        return exact

    def _scores(self, copies: Tensor, half: bool) -> Tensor:
        rows = torch.full((len(copies),), self.row, device=copies.device)
        with Settings(precision="bfloat16" if half else "float32").autocast(self.device), self.fast:
            return self.score(copies, rows)
