"""Why a network cannot process a picture, in one line: its size, or something else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from inverter.isolation.forward_errors import FORWARD_ERRORS, first_line
from inverter_errors import BadInput, plural

if TYPE_CHECKING:
    from inverter.layer_reader import LayerReader

_OTHER_RANKS: dict[type[nn.Module], str] = {
    nn.Conv3d: "video (B, C, T, H, W), five dimensions",
    nn.Conv1d: "audio or other sequences (B, C, T), three dimensions",
    nn.RNNBase: "sequences (B, T, C), three dimensions",
    nn.Embedding: "indices of tokens, no pixels",
}
_NO_SUCH_TYPE = ("not implemented for", "precision dtypes not supported", "Unsupported dtype")
"""How torch says that an operation does not take numbers of a type."""
_UNPACKED = re.compile(r"values to unpack \(expected (\d)")
"""Of a forward pass that begins with `b, c, t, h, w = x.shape`."""
_FOUR, _WRAP = "pictures have four dimensions (B, C, H, W)", "wrap it in a module that takes pictures"


class _Unbatched(ValueError):
    """A convolution has taken the batch of pictures for channels."""


@contextmanager
def batched(module: nn.Module) -> Iterator[None]:
    """A context in which a convolution raises where it would take a batch of pictures for a single video or sound.

    Args:
        module: the network.
    """

    def check(convolution: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor) and inputs[0].ndim == ranks[type(convolution)]:
            raise _Unbatched(f"got an input of {inputs[0].ndim} dimensions without a batch")

    ranks: dict[type[nn.Module], int] = {nn.Conv3d: 4, nn.Conv1d: 2}
    with ExitStack() as stack:
        for part in module.modules():
            if type(part) in ranks:
                stack.callback(part.register_forward_pre_hook(check).remove)
        yield


def cannot_process(
    model: LayerReader,
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
    depth = f" as far as {', '.join(map(repr, reads))}" if any(reads) else ""
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


def _named(layer: nn.Module) -> str:
    """The type of a layer with its article."""
    name = type(layer).__name__
    return f"{'an' if name[0] in 'AEIO' else 'a'} {name}"


def _hint(model: LayerReader, error: Exception) -> str:
    """What may be the cause other than the size."""
    if model.dtype in (torch.float16, torch.bfloat16) and any(text in str(error) for text in _NO_SUCH_TYPE):
        name, place = str(model.dtype).removeprefix("torch."), model.device.type.upper()
        return f"; the {place} does not compute all of it in {name}: load the network in float32 (`module.float()`)"
    known = (nn.Conv2d, nn.Linear, *_OTHER_RANKS)
    first = next((part for part in model.module.modules() if isinstance(part, known)), None)
    if first is None:
        return ""
    entering = len(model.mean)
    if (unpacked := _UNPACKED.search(str(error))) and unpacked[1] != "4":
        return f"; {_FOUR}, and its forward pass takes an input of {unpacked[1]}: {_WRAP}"
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
        if isinstance(first, kind) and any(word in str(error) for word in ("input", "indices")):
            return f"; {_FOUR}, and its first layer, {_named(first)}, takes {takes}: {_WRAP}"
    return ""
