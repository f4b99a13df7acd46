"""What pictures a network takes: their size, channels and values, and how they enter it."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from inverter.input_values import (
    UNIT,
    Normalize,
    ShowChannels,
    ValueRange,
    as_normalization,
    as_show_channels,
    as_value_range,
    check_shown,
    in_unit_range,
    taken_channels,
)
from inverter.isolation.layouts import as_channels_last, lay_out
from inverter_errors import GuessedSizeWarning

GUESSED_SIZE = (224, 224)
"""(height, width) in pixels of a network's input where nobody says it: that of most networks."""
SizeFrom = Literal["network", "pictures", "guess"]
"""Where an input size comes from: the network's source or the user; the size of the pictures; or `GUESSED_SIZE`."""
_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""Types of weights that pictures can have as well."""


class NetworkInput:
    """A network and the pictures that it takes: see the attributes of `Model`, which derives from this class."""

    layout: torch.memory_format = torch.channels_last
    module: nn.Module
    spec: str
    input_size: tuple[int, int]
    size_from: SizeFrom
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float] = UNIT
    show_channels: tuple[int, ...] = ()

    def take(
        self,
        normalize: Normalize | None = None,
        value_range: ValueRange | None = None,
        show_channels: ShowChannels | None = None,
    ) -> None:
        """Sets what pictures the network takes: see `load_model`.

        Args:
            normalize: of the network's values; None for the default.
            value_range: None for that it has.
            show_channels: None for those it has.

        Raises:
            BadInput: for a value of another form, or a channel to be shown that pictures do not have.
        """
        if value_range is not None:
            self.value_range = as_value_range(value_range)
        channels = taken_channels(self)
        photographs = channels == 3 and self.value_range == UNIT
        known = as_normalization(normalize or ("imagenet" if photographs else "none"), channels)
        self.mean, self.std = in_unit_range(*known, self.value_range)
        if show_channels is not None:
            self.show_channels = as_show_channels(show_channels) if show_channels != () else ()
        check_shown(self.show_channels, len(self.mean), self.spec)

    def size_for(self, size: tuple[int, int] | None = None) -> tuple[int, int]:
        """The size at which the network is run.

        Args:
            size: (height, width) in pixels that is requested, if any.

        Returns:
            That, else the network's input size. Warns if it is a guess.
        """
        if size is None and self.size_from == "guess":
            height, width = self.input_size
            warnings.warn(
                f"the input size of {self.spec} is not known: using {height}x{width}; set input_size",
                GuessedSizeWarning,
                stacklevel=1,  # one place for all, so that it is shown once
            )
        return size or self.input_size

    @property
    def own_size(self) -> str:
        """The input size for errors, as HxW."""
        return "not known: set input_size" if self.size_from == "guess" else "{}x{}".format(*self.input_size)

    @property
    def device(self) -> torch.device:
        """The device of the first parameter or buffer; the CPU if there is none."""
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            return tensor.device
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """The type of the first floating-point parameter or buffer; float32 if there is none."""
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            if tensor.dtype in _TYPES:
                return tensor.dtype
        return torch.float32

    def normalize(self, image: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] as the network takes them, in its type and memory order (see `layout`)."""
        mean, std = _on(image.device, self.mean, self.std)
        entering = ((image - mean) / std).to(self.dtype)
        return as_channels_last(entering) if self.layout == torch.channels_last else entering.contiguous()

    def relay(self) -> bool:
        """Has pictures enter in row-major memory order from now on; False if they did already."""
        if self.layout == torch.contiguous_format:
            return False
        self.layout = torch.contiguous_format
        if self.spec != "module":  # `load_model` laid out the weights of all others
            lay_out(self.module, self.layout)
        return True

    def _relaid(self, entering: Tensor) -> Tensor | None:
        return entering.clone(memory_format=self.layout) if self.relay() else None

    def _grey(self, count: int, size: tuple[int, int]) -> Tensor:
        """(count, C, height, width), grey pictures."""
        return torch.full((count, len(self.mean), *size), 0.5, dtype=torch.float32, device=self.device)


@cache
def _on(device: torch.device, *numbers: tuple[float, ...]) -> tuple[Tensor, ...]:
    """Numbers of each channel as tensors (C, 1, 1), copied to the device once and not in every step."""
    with torch.inference_mode(False):  # else a first call in inference mode would break all later gradients
        return tuple(torch.tensor(each, dtype=torch.float32, device=device)[:, None, None] for each in numbers)
