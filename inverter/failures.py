"""Why a network cannot process a picture, in one line: its size, or something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from inverter.capture import FORWARD_ERRORS
from inverter_errors import BadInput, plural

if TYPE_CHECKING:
    from inverter.models import Model

_OTHER_RANKS: dict[type[nn.Module], str] = {
    nn.Conv3d: "(B, C, T, H, W), five dimensions",
    nn.Conv1d: "(B, C, T), three dimensions",
}
_NO_SUCH_TYPE = ("not implemented for", "precision dtypes not supported", "Unsupported dtype")
"""How torch says that an operation does not take numbers of a type."""


def first_line(error: Exception) -> str:
    """The first line of an error's text; its type if the text is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def cannot_process(
    model: Model,
    error: Exception,
    size: tuple[int, int],
    reads: Sequence[str],
    attempt: Callable[[Sequence[str], tuple[int, int]], Any],
) -> BadInput:
    """The error for a forward pass that failed.

    Args:
        model: the network.
        error: what its forward pass raised.
        size: (height, width) of the picture.
        reads: addresses of the layers that were to be read; none if all of them were.
        attempt: runs the network on a picture of another size: if that works, the size is the cause.

    Returns:
        The error, to be raised.
    """
    own, shown = model.own_size, "{}x{}".format(*size)
    depth = f" as far as {', '.join(map(repr, reads))}" if reads else ""
    text = f"{model.spec} cannot process a picture of {shown} pixels{depth} ({first_line(error)})"
    if size != model.input_size:
        try:
            attempt(reads, model.input_size)
        except FORWARD_ERRORS as other:
            if first_line(other) == first_line(error):
                return BadInput(f"{text}; it fails in the same way at its own size {own}{_hint(model, error)}")
        else:
            return BadInput(f"{text}; its own size is {own}")
    return BadInput(f"{text}{_hint(model, error) or f'; its own size is {own}'}")


def _hint(model: Model, error: Exception) -> str:
    """What may be the cause other than the size."""
    if model.dtype in (torch.float16, torch.bfloat16) and any(text in str(error) for text in _NO_SUCH_TYPE):
        name, place = str(model.dtype).removeprefix("torch."), model.device.type.upper()
        return f"; the {place} does not compute all of it in {name}: load the network in float32 (`module.float()`)"
    known = (nn.Conv2d, nn.Linear, *_OTHER_RANKS)
    first = next((part for part in model.module.modules() if isinstance(part, known)), None)
    if first is None:
        return ""
    entering = len(model.mean)
    if isinstance(first, nn.Linear) and "shapes cannot be multiplied" in str(error):
        return (
            f"; its first layer is a Linear that takes {plural(first.in_features, 'number')}: give the input size "
            "that has as many, or wrap it in a module that flattens pictures"
        )
    if isinstance(first, nn.Conv2d) and first.in_channels != entering and "channels" in str(error):
        return (
            f"; its first convolution takes {plural(first.in_channels, 'channel')} and pictures have {entering}: "
            "give normalize as that many means and deviations"
        )
    for kind, takes in _OTHER_RANKS.items():
        if isinstance(first, kind) and "input" in str(error):
            return (
                f"; pictures have four dimensions (B, C, H, W), and its first layer, a {kind.__name__}, takes {takes}: "
                "wrap it in a module that takes pictures"
            )
    return ""
