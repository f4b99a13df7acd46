"""Words: how well a picture matches a text, for networks with an image and a text tower (CLIP, SigLIP)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput, plural
from objectives.base import OUTPUT, Activations, Objective
from objectives.units import as_map, by_device


class EncodesText(Protocol):
    """A network with a text tower, such as `inverter.Model`."""

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Texts as vectors (N, D) of length 1, in the space of the network's output."""
        ...


def text_match(
    model: EncodesText,
    text: str | Sequence[str],
    against: Sequence[str] = (),
    scale: float = 1.0,
) -> Objective:
    """The cosine similarity of a picture's embedding with that of a text (Radford et al. 2021, CLIP).

    Args:
        model: network whose output is the picture's embedding (B, D), with a text tower.
        text: one text for every image, or one per image.
        against: other texts.
        scale: factor.

    Returns:
        The objective, with one target for each text.

    Raises:
        BadInput: for a network without a text tower, no text or an empty one; when scored, if the output is not
            (B, D).
        NotFound: when scored, if the output was not captured.
    """
    texts = [text] if isinstance(text, str) else list(text)
    vectors = model.encode_text(texts)
    targets = by_device(vectors)
    others = by_device(model.encode_text(list(against))) if against else None

    def score(activations: Activations) -> Tensor:
        output = as_map(activations[OUTPUT], OUTPUT).float().mean((2, 3))
        expected = activations.pick(targets(output.device))
        if expected.shape[1] != output.shape[1]:
            raise BadInput(
                f"the texts' vectors have {plural(expected.shape[1], 'number')}, the model's output {output.shape[1]}"
            )
        cosine = F.cosine_similarity(output, expected, dim=1)
        if others is None:
            return cosine
        rivals = F.normalize(output, dim=1) @ others(output.device).T
        both = torch.cat([cosine[:, None], rivals], 1) * scale
        return torch.log_softmax(both, 1)[:, 0]

    return Objective("text_match", (OUTPUT,), score, tuple(f"text_match({each})" for each in texts))
