"""Names for units from a vocabulary: how well each word describes the pictures that activate a unit (CLIP-Dissect)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from recipes.options.words import Measure

LEAST = 1e-7
"""Added to probabilities before the logarithm, as in the authors' code."""
SMALLEST = 1e-3
"""Lengths below this are not divided by: a unit that hardly responds is named by noise otherwise."""


def name_scores(responses: Tensor, similarities: Tensor, measure: Measure = "soft-wpmi", top: int = 100) -> Tensor:
    """How well each word describes each unit (Oikarinen & Weng 2023, CLIP-Dissect, section 3.2).

    With P the softmax of 10 times the similarities over the words, B the `top` pictures of a unit, and p(x in B)
    falling from .998 to .97 with the picture's rank, `soft-wpmi` is

        log E_B[p(w | B)] - log p(w),   log E_B[p(w | B)] = sum over x in B of log(1 + p(x in B) (P_xw - 1)),

    p(w) the mean of p(w | B) over the layer's units. `wpmi` has p(x in B) = 1, a temperature of 2 instead of 10, and
    .6 log p(w). `cosine` compares responses and similarities as vectors over the pictures, `cosine-cubed` their cubes
    after subtracting the mean.

    Args:
        responses: of all units of a layer, (N, C) for N pictures.
        similarities: cosines of the pictures and the words, (N, M).
        measure: `soft-wpmi`, `wpmi`, `cosine` or `cosine-cubed`.
        top: pictures that a unit responds to most; the two WPMI measures count these alone.

    Returns:
        Scores (C, M), higher is better; they are comparable between words, not between measures.

    Example:
        >>> responses = torch.tensor([[0.0, 5.0], [4.0, 0.0], [0.0, 4.0], [5.0, 0.0]])
        >>> similarities = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.2, 0.8]])
        >>> name_scores(responses, similarities, top=2).argmax(1)
        tensor([1, 0])
    """
    responses, similarities = responses.float(), similarities.float()
    return _SCORES[measure](responses, similarities, min(top, len(responses)))


def _soft_wpmi(responses: Tensor, similarities: Tensor, top: int) -> Tensor:
    belongs = 0.998 - torch.arange(top) / top * (0.998 - 0.97)
    return _information(responses, (10 * similarities).softmax(1), belongs, 1.0)


def _wpmi(responses: Tensor, similarities: Tensor, top: int) -> Tensor:
    return _information(responses, (2 * similarities).softmax(1), torch.ones(top), 0.6)


def _information(responses: Tensor, probabilities: Tensor, belongs: Tensor, weight: float) -> Tensor:
    """The score log p(w | B) - weight * log p(w) for each unit and word, (C, M)."""
    best = responses.topk(len(belongs), dim=0).indices
    given = torch.stack(
        [(1 + belongs[:, None] * (probabilities[rows] - 1) + LEAST).log().sum(0) for rows in best.unbind(1)]
    )
    prior = given.logsumexp(0, keepdim=True) - torch.log(torch.tensor(float(len(given))))
    return given - weight * prior


def _cosine(responses: Tensor, similarities: Tensor, _top: int) -> Tensor:
    return F.normalize(responses, dim=0, eps=SMALLEST).T @ F.normalize(similarities, dim=0, eps=SMALLEST)


def _cosine_cubed(responses: Tensor, similarities: Tensor, top: int) -> Tensor:
    return _cosine((responses - responses.mean(0)) ** 3, (similarities - similarities.mean(0)) ** 3, top)


_SCORES: dict[Measure, Callable[[Tensor, Tensor, int], Tensor]] = {
    "soft-wpmi": _soft_wpmi,
    "wpmi": _wpmi,
    "cosine": _cosine,
    "cosine-cubed": _cosine_cubed,
}
