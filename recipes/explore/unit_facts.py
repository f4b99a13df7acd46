"""What is known of a unit without a run: units like it, and the classes that it matters for.

Both need the activations of its layer over `images`, which the unit's top patches collect.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recipes.activations.correlation import LEAST, standardised
from recipes.explore.server.responses import activations_of, is_collected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from recipes.explore.session import Session

NEAREST, CLASSES, PICTURES = 8, 8, 8
"""Units alike, and classes, that are shown; pictures in which the classes are compared."""
_one_at_a_time = threading.Lock()


def facts(session: Session, layer: str, channel: int) -> dict[str, Any]:
    """What is known of a unit.

    Args:
        session: of the server.
        layer: address.
        channel: of the unit.

    Returns:
        `neighbours`: units of the layer whose mean activations correlate most with the unit's over the pictures;
        `nearby`: the same of the stages before and after, as far as they have seen the pictures;
        `classes`: how much the logit of a class falls, on average, where the unit is set to 0 in the pictures that
        activate it most. All are empty without activations.
    """
    folder = None if session.options.images is None else activations_of(session.options, layer)
    if folder is None or not is_collected(folder):
        return {"neighbours": [], "nearby": [], "classes": []}
    with _one_at_a_time:
        return {
            "neighbours": _alike(session, layer, channel, [layer]),
            "nearby": _alike(session, layer, channel, _next_to(session, layer)),
            "classes": _classes(session, folder, layer, channel),
        }


def _alike(session: Session, layer: str, channel: int, others: Sequence[str]) -> list[dict[str, Any]]:
    """The units of other layers, or of the unit's own, that are most like it; strongest first."""
    own, candidates = _standardised(session, layer), list[tuple[float, str, int]]()
    for other in others if own is not None else ():
        assert own is not None
        values = _standardised(session, other)
        if values is not None and len(values) == len(own):
            alike = (own[:, channel] @ values).tolist()
            candidates += [(r, other, i) for i, r in enumerate(alike) if r >= LEAST and (other, i) != (layer, channel)]
    found = []
    for r, other, index in sorted(candidates, key=lambda each: -each[0])[:NEAREST]:
        record = session.grid.finished.get((other, index))
        known = {} if record is None else session.grid.unit(record)
        shown = {"url": known.get("url"), "name": known.get("name")}
        found.append({"layer": other, "channel": index, "similarity": round(r, 3), **shown})
    return found


def _standardised(session: Session, layer: str) -> np.ndarray[Any, Any] | None:
    return standardised(activations_of(session.options, layer), layer, range(session.layer(layer)))


def _next_to(session: Session, layer: str) -> list[str]:
    """The stages before and after a stage."""
    stages: list[str] = session.network()["stages"]
    at = stages.index(layer) if layer in stages else len(stages) + 1
    return [stages[place] for place in (at - 1, at + 1) if 0 <= place < len(stages)]


def _classes(session: Session, folder: Path, layer: str, channel: int) -> list[dict[str, Any]]:
    from recipes.activations.predictions import classifies

    model = session.glance
    part = dict(model.module.named_modules()).get(layer)
    if part is None or not classifies(model):
        return []
    pictures = _strongest(session, folder, layer, channel)
    axes = model.axes(layer, model.input_size)
    letters = "BCHW" if axes is None else str(axes).partition("+")[0]
    plain = _logits(session, pictures, part, None)
    effects = plain - _logits(session, pictures, part, (letters.find("C"), channel))
    mean = effects.mean(0)
    order = mean.abs().argsort(descending=True, stable=True)[:CLASSES].tolist()
    names = model.categories
    found = [
        {"name": names[index] if index < len(names) else None, "index": index, "effect": round(float(mean[index]), 4)}
        for index in order
        if float(mean[index]) != 0
    ]
    own = len(found) == 1 and found[0]["index"] == channel  # the unit is a class itself
    return [] if own else sorted(found, key=lambda each: -each["effect"])


def _strongest(session: Session, folder: Path, layer: str, channel: int) -> Tensor:
    """The pictures that activate a unit most, (B, C, H, W) in [0, 1]."""
    from recipes.activations.collect import CollectedActivations
    from recipes.pictures.sets import picture_set

    collected, model = CollectedActivations.load(folder), session.glance
    assert session.options.images is not None  # else there is no such folder
    known = picture_set(session.options.images, len(model.mean), model.value_range)
    high, indices = collected.array(layer, "high")[:, channel], collected.array(layer, "picture")
    chosen = indices[np.argsort(-high, kind="stable")[:PICTURES]].tolist()
    return torch.stack([known.read(index, collected.size) for index in chosen])


@torch.no_grad()
def _logits(session: Session, pictures: Tensor, part: nn.Module, silenced: tuple[int, int] | None) -> Tensor:
    """The logits of pictures (B, K), with a channel of a module's output, on an axis of it, set to 0."""
    model = session.glance

    def without(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if silenced is None or not isinstance(output, torch.Tensor):
            return output
        axis, channel = silenced
        if not 0 < axis < output.ndim or channel >= output.shape[axis]:  # heads side by side, several tensors
            return output
        output = output.clone()
        output.select(axis, channel).zero_()
        return output

    handle = part.register_forward_hook(without)
    try:
        with model.capture([""]) as capture:
            logits = capture(model.normalize(pictures.to(model.device)))[""].float()
    finally:
        handle.remove()
    return (logits.mean((2, 3)) if logits.ndim == 4 else logits).cpu()
