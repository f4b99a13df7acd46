"""How many pictures a device processes together: on a GPU by its free memory, measured; elsewhere a constant."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import nn

from inverter.engine import default_batch
from inverter.isolation.device_faults import gpu_lost, out_of_memory
from inverter.isolation.forward_errors import FORWARD_ERRORS
from inverter.models import Model

MOST = 256
"""Pictures together, at most: an H200 is as fast with 256 as with 512."""
SHARE = 0.8
"""Of the free memory that may be used."""
PROBE = 2
"""Pictures of the pass that is measured."""

_MEASURED: WeakKeyDictionary[nn.Module, dict[object, int]] = WeakKeyDictionary()
"""Network -> (layers, size, gradient, directions) -> bytes that a picture needs."""


def pictures_at_once(
    model: Model, layers: Sequence[str], size: tuple[int, int], *, gradient: bool = False, copies: int = 1
) -> int:
    """How many pictures are processed together, by the free memory of the model's device.

    On a GPU, the memory of one small pass in float32 is measured, once for a network, its layers and a size; a loop in
    bfloat16 needs about half of it. Elsewhere, and for a network that cannot take such a picture, it is the engine's
    default.

    Args:
        model: the network.
        layers: addresses of the layers that are read; the network runs as far as the last of them.
        size: (height, width) of its input in pixels.
        gradient: True if a backward pass to the pictures follows.
        copies: forms of a picture that are processed together with it (masked, noisy).

    Returns:
        A power of two from 1 to `MOST` on a GPU; on a CPU 8.
    """
    usual = max(1, default_batch(model.device) // copies)
    if model.device.type != "cuda":
        return usual
    measured = _MEASURED.setdefault(model.module, {})
    key = tuple(layers), size, gradient, *model.directions.items()
    try:
        if key not in measured:
            measured[key] = _bytes_each(model, layers, size, gradient)
    except FORWARD_ERRORS as error:
        if gpu_lost(error):
            raise
        return 1 if out_of_memory(error) else usual  # what is wrong with the picture is said where it is used
    free, _ = torch.cuda.mem_get_info(model.device)
    # What torch's allocator holds without using it is free as well.
    free += torch.cuda.memory_reserved(model.device) - torch.cuda.memory_allocated(model.device)
    fits = int(SHARE * free / (measured[key] * copies))
    return 1 << max(1, min(MOST // copies, fits)).bit_length() - 1


def _bytes_each(model: Model, layers: Sequence[str], size: tuple[int, int], gradient: bool) -> int:
    """The peak memory of a pass, for each picture. It resets torch's record of the peak."""
    before = torch.cuda.memory_allocated(model.device)
    torch.cuda.reset_peak_memory_stats(model.device)
    images = torch.zeros(PROBE, len(model.mean), *size, device=model.device, dtype=torch.float32)
    with torch.set_grad_enabled(gradient), model.capture(layers) as capture:
        found = capture(model.normalize(images.requires_grad_(gradient)))
        if gradient and (total := sum(each.float().sum() for each in found.values())).requires_grad:  # type: ignore[union-attr]
            torch.autograd.grad(total, images)  # type: ignore[arg-type]
    return max(1, (torch.cuda.max_memory_allocated(model.device) - before) // PROBE)
