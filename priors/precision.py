"""Where hardware multiplies in bfloat16 itself."""

from __future__ import annotations

import torch


def has_bfloat16(device: torch.device) -> bool:
    """True if the hardware multiplies in bfloat16 itself; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
