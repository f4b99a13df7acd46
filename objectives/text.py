"""Words: how well a picture matches a text, for networks with an image and a text tower (CLIP, SigLIP)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput, plural
from objectives.base import OUTPUT, Activations, Objective
from objectives.targets import Targets
from objectives.units import as_map


class EncodesText(Protocol):
    """A network with a text tower, such as `inverter.Model`."""

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Texts as vectors (N, D) of length 1, in the space of the network's output."""
        ...


def text_match(
    model: EncodesText, text: str | Sequence[str], against: Sequence[str] = (), scale: float = 100.0
) -> Objective:
    """The cosine similarity of a picture's embedding with that of a text (Radford et al. 2021, CLIP).

    With `against`, it is the log-probability of the text among these: the log-softmax of `scale` times the cosines
    (CLIP's zero-shot classifier). The cosine alone suits a single text; for one of several that are alike, the
    log-probability also lowers the similarity with the others. `inverter classes --text` maximises both.

    Args:
        model: network with a text tower, whose output is the picture's embedding (B, D).
        text: one text, or one per image.
        against: the texts that it competes with; a text is no rival of itself.
        scale: factor of the cosines, with `against` only; `model.text.scale` is the network's own where it has one.

    Returns:
        The objective, with one target for each text: scores in [-1, 1], or with `against` <= 0.

    Raises:
        BadInput: for a network without a text tower, no text or an empty one; when scored, for an output of another
            length than the texts' vectors, or a batch of another size than the number of targets.
        NotFound: when scored, if the output was not captured.

    Example:
        >>> from types import SimpleNamespace
        >>> model = SimpleNamespace(encode_text=lambda texts: torch.tensor([[0.6, 0.8]]))
        >>> text_match(model, "a red bird").score(Activations({OUTPUT: torch.tensor([[2.0, 0.0]])}))
        tensor([0.6000])
    """
    texts = [text] if isinstance(text, str) else list(text)
    if not texts:
        raise BadInput("text_match: got no text, expected one or one per image")
    targets = Targets(model.encode_text(texts))
    rivals = Targets(model.encode_text(list(against))) if against else None
    apart = Targets(torch.tensor([[each != rival for rival in against] for each in texts]))

    def score(activations: Activations) -> Tensor:
        output = F.normalize(as_map(activations[OUTPUT], OUTPUT).float().mean((2, 3)), dim=1)
        expected = activations.pick(targets(output.device))
        if expected.shape[1] != output.shape[1]:
            raise BadInput(
                f"the texts' vectors have {plural(expected.shape[1], 'number')}, the model's output {output.shape[1]}"
            )
        if expected.shape[0] not in (1, output.shape[0]):
            raise BadInput(
                f"{expected.shape[0]} targets for a batch of {output.shape[0]} images: give one target, or one per "
                "image"
            )
        cosine = (output * expected).sum(1)
        if rivals is None:
            return cosine
        others = (output @ rivals(output.device).T).masked_fill(~activations.pick(apart(output.device)), -torch.inf)
        return (scale * torch.cat([cosine[:, None], others], 1)).log_softmax(1)[:, 0]

    return Objective(
        "text_match",
        (OUTPUT,),
        score,
        tuple(f"text_match({each})" for each in texts),
        form=("text_match", len(against), scale),
        targets=(targets, apart) if rivals is None else (targets, apart, rivals),
    )
