"""Devices by name."""

from __future__ import annotations

import torch
from torch import Tensor

from inverter_errors import BadInput, plural


def as_device(device: str | torch.device | None) -> torch.device:
    """A device that is available.

    Args:
        device: a torch device or its name; None and "auto" mean cuda, else mps, else cpu.

    Returns:
        The torch device.

    Raises:
        BadInput: for a device that torch does not know, or that this machine does not have.
    """
    if device is None or device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise BadInput(f"unknown device {device!r}; expected auto, cpu, cuda, cuda:N or mps") from None
    if isinstance(device, str) and found.type not in ("cpu", "cuda", "mps"):
        raise BadInput(f"unknown device {device!r}; expected auto, cpu, cuda, cuda:N or mps")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise BadInput(
            f"device {str(found)!r} is not available: torch sees {plural(torch.cuda.device_count(), 'CUDA device')}; "
            "use device auto or cpu"
        )
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise BadInput("device 'mps' is not available: this machine has none; use device auto or cpu")
    return found


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; to a GPU it is copied from pinned memory while the CPU goes on.

    Args:
        tensor: of any shape.
        device: where it goes.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
