"""The identity in place of a network: for objectives that read the picture itself."""

from __future__ import annotations

import torch
from torch import nn

from inverter.devices import as_device
from inverter.models import Model
from inverter.network_input import GUESSED_SIZE


class _NoNetwork(nn.Identity):
    """Passes pictures on. A buffer marks the device where they are."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("place", torch.empty(0, dtype=torch.float32, device="cpu"), persistent=False)


def no_network(device: str | torch.device | None = None, channels: int = 3) -> Model:
    """The identity, Phi(x) = x: for objectives that read the picture itself.

    Args:
        device: where pictures are optimised: `auto` (also None), or a torch device.
        channels: of the pictures.

    Returns:
        A model without parameters or normalisation.

    Raises:
        BadInput: for a device that is not available.

    Example:
        >>> no_network("cpu")
        Model(none, 0 parameters, 224x224, on cpu)
    """
    untouched = (0.0,) * channels, (1.0,) * channels
    return Model(_NoNetwork().to(as_device(device)), spec="none", normalize=untouched, input_size=GUESSED_SIZE)
