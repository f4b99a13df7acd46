"""Which of two ways to compute an input gradient is faster on this machine: known, or measured once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

Way = Callable[[Tensor], Tensor]

MARGIN: Final = 1.5
"""torch's own way has to be this much faster to be taken: a measurement that is repeated must decide the same."""

REPEATS: Final = 3
PICTURES: Final = {"cpu": 1, "cuda": 32}
"""How many pictures a measurement takes, by kind of device: not the batch's number, on which no result may depend."""

LARGEST: Final = 2**26
"""Numbers in a measurement's gradient, at most: it must not be what exhausts the memory."""

_chosen: dict[tuple[object, ...], bool] = {}
"""Whether the special way pays, by what it depends on: measured once in a process."""


def is_known(device: torch.device) -> bool:
    """True where the special ways are taken unmeasured.

    They were measured on processors without matrix tiles (AMX). Deterministic algorithms must not depend on a clock.
    """
    if torch.are_deterministic_algorithms_enabled():
        return True
    if device.type == "cuda":
        return torch.cuda.is_current_stream_capturing()  # nobody may wait for the device while it is recorded
    return not torch.cpu._is_amx_tile_supported()


@torch.no_grad()
def pays(way: Way, usual: Way, shape: tuple[int, ...], key: tuple[object, ...], weight: Tensor) -> bool:
    """Whether the special way is taken.

    Args:
        way: gradient of the output -> gradient of the input.
        usual: the same, as torch computes it.
        shape: of one picture's gradient of the output, (K, h, w).
        key: what both depend on except for type and device.
        weight: a tensor of their type and device.

    Returns:
        True without measuring where it `is_known`; else unless the usual way is `MARGIN` times as fast.
    """
    device = weight.device
    if is_known(device):
        return True
    key = (*key, shape, weight.dtype, device)
    if key not in _chosen:
        count = max(1, min(PICTURES.get(device.type, 1), LARGEST // math.prod(shape)))
        example = torch.ones((count, *shape), dtype=weight.dtype, device=device).contiguous(
            memory_format=torch.channels_last
        )
        seconds = [min(_seconds(each, example) for _ in range(REPEATS)) for each in (way, usual)]
        _chosen[key] = seconds[0] < MARGIN * seconds[1]
    return _chosen[key]


def _seconds(way: Way, example: Tensor) -> float:
    started = time.perf_counter()
    way(example)[0, 0, 0, 0].item()  # waits for the device
    return time.perf_counter() - started
