"""The units of attention: how much one place takes of another, and the output of one head."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from inverter_errors import BadInput
from objectives import units
from objectives.base import Activations, Objective, as_targets
from objectives.units import Index

Place = tuple[int, int]


def attention(
    layer: str, head: Index, token: str | int | Place = "cls", to: str | int | Place | None = None
) -> Objective:
    """The weight of a head's attention from one token to another, in [0, 1].

    It is computed from query and key where a fused kernel hides it.

    Args:
        layer: address of a module that computes one attention, such as `blocks.3.attn` or `blocks.3`.
        head: index, or one index per image.
        token: the token that attends: "cls" for the class token, (row, column) for the one of a place, or its index
            among all tokens.
        to: what it attends to: (row, column) of a place, the index of a token, or "cls"; by default the centre.

    Returns:
        The objective, with one target for each head.

    Raises:
        BadType: for an index that is not an integer.
        BadInput: for a negative index, or from a place to a token by its index; when scored, for a layer that computes
            no attention, or several, or within windows.
        NotFound: when scored, if there is no such head, token or place (an `IndexError` as well).

    Example:
        >>> weights = torch.eye(5).expand(1, 2, 5, 5)
        >>> attention("attn", 1, token=3, to=3).score(Activations({"attn:attention": weights}))
        tensor([1.])
    """
    name = f"attention({layer})"
    if isinstance(to, str | int):
        start, end = _index(token), _index(to)
        if start is None or end is None:
            raise BadInput(
                f"attention: expected cls or the index of a token, got token={token!r} and to={to!r}: from a place, "
                "to=(row, column)"
            )
        found = units.neuron(f"{layer}:attention", head, y=start, x=end)
    else:
        start_text = ",".join(map(str, token)) if isinstance(token, tuple) else str(token)
        y, x = (None, None) if to is None else to
        found = units.neuron(f"{layer}:attention@{start_text}", head, y=y, x=x)
    heads = as_targets(head, f"head of {layer!r}").tolist()
    labels = tuple(f"attention({layer}:{each}@{_text(token)}>{_text(to)})" for each in heads)
    return replace(found, name=name, labels=labels)


def attention_head(layer: str, head: Index, channel: int | None = None) -> Objective:
    """The output of one attention head, before the projection that mixes the heads.

    It is one head's slice of the input of the output projection: its values, averaged by its attention.

    Args:
        layer: address of a module that computes one attention, such as `blocks.3.attn` or `blocks.3`.
        head: index, or one index per image.
        channel: index of a channel in the head, whose mean over the places is the score; None for the mean square of
            all of its channels (as `layer`).

    Returns:
        The objective, with one target for each head.

    Raises:
        BadType: for an index that is not an integer.
        BadInput: for a negative index; when scored, for a layer that computes no attention, or several, or within
            windows.
        NotFound: when scored, if there is no such head or channel (an `IndexError` as well).

    Example:
        >>> attention_head("attn", 2).score(Activations({"attn:head.2": torch.full((1, 4, 3, 3), 2.0)}))
        tensor([4.])
    """
    heads = as_targets(head, f"head of {layer!r}").tolist()
    addresses = [f"{layer}:head.{each}" for each in heads]
    parts = [units.layer(each) if channel is None else units.channel(each, channel) for each in addresses]
    end = "" if channel is None else f":{channel}"

    def score(activations: Activations) -> Tensor:
        scores = torch.stack([part.score(activations) for part in parts])  # (heads, B)
        rows = activations.pick(torch.arange(len(parts), device=scores.device))
        images = torch.arange(scores.shape[1], device=scores.device)
        if len(rows) not in (1, len(images)):
            raise BadInput(
                f"{len(rows)} targets for a batch of {len(images)} images: give one target, or one per image"
            )
        return scores[rows, images]

    labels = tuple(f"attention_head({layer}:{each}{end})" for each in heads)
    form = ("attention_head", tuple(addresses), channel)
    return Objective(f"attention_head({layer})", tuple(dict.fromkeys(addresses)), score, labels, form=form)


def _index(token: str | int | Place) -> int | None:
    """The index of a token; None for a place or another name."""
    return 0 if token == "cls" else token if isinstance(token, int) else None


def _text(token: str | int | Place | None) -> str:
    if token is None:
        return "centre"
    return ",".join(map(str, token)) if isinstance(token, tuple) else str(token)
