"""The numbers that a network takes: how many channels, their range, and their normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from inverter.isolation.frozen import frozen
from inverter.isolation.own_draws import OwnDraws
from inverter_errors import BadInput

if TYPE_CHECKING:
    from inverter.network_input import NetworkInput

Normalization = Literal["imagenet", "half", "none"]
"""Names of the normalisations."""

Numbers = tuple[float, ...]
NORMALIZATIONS: dict[str, tuple[Numbers, Numbers]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Mean and standard deviation of each colour channel, by name."""

Normalize = Normalization | str | tuple[Sequence[float], Sequence[float]]
"""A name, text as "m,m,m/s,s,s", or (mean, std)."""
ValueRange = str | Sequence[float]
"""Text as "low,high", or (low, high)."""
ShowChannels = str | int | Sequence[int]
"""Text as "3,2,1", or the channels."""
UNIT = (0.0, 1.0)
"""The range of values of photographs."""
MOST_CHANNELS = 4096


def as_normalization(normalize: Normalize, channels: int = 3) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of each channel, from a name or from the numbers themselves.

    Args:
        normalize: `imagenet`, `half`, `none`, (mean, std), or the numbers as text, "0.5,0.5,0.5/0.5,0.5,0.5" (mean /
            std).
        channels: that the network takes: `half`, `none`, and one number where it does not take colours, are of all.

    Returns:
        (mean, std), a number for each channel.

    Raises:
        BadInput: for an unknown name, or numbers that are not as many means as positive deviations.
    """
    expected = "expected imagenet, half, none, or mean/std as 'm,m,m/s,s,s' (a number for each colour channel, std > 0)"
    if isinstance(normalize, str):
        if normalize in NORMALIZATIONS:
            mean, std = NORMALIZATIONS[normalize]
            return (mean, std) if normalize == "imagenet" else (mean[:1] * channels, std[:1] * channels)
        try:
            parts = [tuple(float(number) for number in part.split(",")) for part in normalize.split("/")]
        except ValueError:
            parts = []
    else:
        parts = [tuple(float(number) for number in part) for part in normalize]
    finite = all(math.isfinite(number) for part in parts for number in part)
    if len(parts) != 2 or len(parts[0]) != len(parts[1]) or min(parts[1]) <= 0 or not finite:
        raise BadInput(f"unknown normalization {normalize!r}; {expected}")
    if len(parts[0]) == 1 and channels != 3:
        return parts[0] * channels, parts[1] * channels
    return parts[0], parts[1]


def as_value_range(values: ValueRange) -> tuple[float, float]:
    """The lowest and the highest value of a network's inputs.

    Args:
        values: (low, high), or text: `low,high`.

    Raises:
        BadInput: for anything else.

    Example:
        >>> as_value_range("-80,0")
        (-80.0, 0.0)
    """
    try:
        given: Any = values.split(",") if isinstance(values, str) else values
        low, high = (float(number) for number in given)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError
    except (TypeError, ValueError):
        raise BadInput(f"value_range must be two numbers low,high with low < high, got {values!r}") from None
    return low, high


def as_show_channels(channels: ShowChannels) -> tuple[int, ...]:
    """The channels of a picture that are shown, in order.

    Args:
        channels: one, several, or text: `3,2,1`.

    Raises:
        BadInput: for anything else.

    Example:
        >>> as_show_channels("3,2,1"), as_show_channels(0)
        ((3, 2, 1), (0,))
    """
    given: Any = channels.split(",") if isinstance(channels, str) else channels
    try:
        shown = tuple(int(each) for each in ([given] if isinstance(given, int) else given))
    except (TypeError, ValueError):
        shown = ()
    if not shown or not all(0 <= each < MOST_CHANNELS for each in shown):
        raise BadInput(f"show_channels must be channels from 0, as 0 or 3,2,1; got {channels!r}")
    return shown


def check_shown(channels: Sequence[int], count: int, spec: str) -> None:
    """Raises a BadInput for a channel to be shown that the network's pictures do not have."""
    if too_high := [each for each in channels if each >= count]:
        raise BadInput(f"show_channels {too_high[0]} is out of range: {spec} has {count} channels (0 to {count - 1})")


def in_unit_range(mean: Numbers, std: Numbers, values: tuple[float, float]) -> tuple[Numbers, Numbers]:
    """A normalisation of a network's values as one of pictures in [0, 1], whose 0 and 1 are the ends of the range."""
    low, high = values
    return tuple((m - low) / (high - low) for m in mean), tuple(s / (high - low) for s in std)


def in_values(mean: Numbers, std: Numbers, values: tuple[float, float]) -> tuple[Numbers, Numbers]:
    """The inverse of `in_unit_range`."""
    low, high = values
    return tuple(low + m * (high - low) for m in mean), tuple(s * (high - low) for s in std)


def to_values(picture: Tensor, values: tuple[float, float]) -> Tensor:
    """A picture in [0, 1] as the values that it stands for."""
    low, high = values
    return picture if values == UNIT else low + picture * (high - low)


class _Reached(BaseException):
    """Ends a forward pass at its first convolution."""


def taken_channels(model: NetworkInput) -> int:
    """The number of channels that a network takes: those of the first convolution that it runs, if it takes pictures.

    A network that makes something else of a picture first (blocks of pixels, a grey picture), or has no convolution, is
    taken to be one of colours.

    Args:
        model: the network.
    """
    convolutions = [part for part in model.module.modules() if isinstance(part, nn.Conv2d)]
    if not convolutions or convolutions[0].in_channels == 3:
        return 3
    found: list[int] = []

    def reached(convolution: nn.Module, inputs: tuple[Any, ...]) -> None:
        entering = inputs[0].shape[1] if inputs and inputs[0].ndim == 4 else 0
        found.append(convolution.in_channels if entering == 3 else 3)  # type: ignore[arg-type]
        raise _Reached

    picture = torch.full((1, 3, *model.input_size), 0.5, dtype=model.dtype, device=model.device)
    # Any error of somebody's forward pass may end this: the run itself reports it.
    with suppress(_Reached, Exception), torch.no_grad(), frozen(model.module), ExitStack() as hooks:
        for part in convolutions:
            hooks.callback(part.register_forward_pre_hook(reached).remove)
        hooks.enter_context(OwnDraws().apply(picture.device))
        model.module(picture)
    if not found and not any(part.in_channels == 3 for part in convolutions):
        found = [convolutions[0].in_channels]  # what runs before it does not take three
    return found[0] or 3 if found else 3
