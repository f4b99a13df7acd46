"""The memory order of pictures and weights: channels last where a network allows it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def as_channels_last(image: Tensor) -> Tensor:
    """Pictures (B, C, H, W) in channels-last memory order.

    A single channel is in both orders at once, and torch would take it for row-major: here its strides say otherwise.

    Example:
        >>> as_channels_last(torch.zeros(2, 1, 4, 4)).stride()
        (16, 1, 4, 1)
    """
    if image.shape[1] == 1:
        return image.contiguous().squeeze(1).unsqueeze(-1).permute(0, 3, 1, 2)
    return image.contiguous(memory_format=torch.channels_last)


def lay_out(module: nn.Module, layout: torch.memory_format) -> None:
    """Moves the weights of two-dimensional convolutions to a memory order; all other tensors stay as they are.

    Args:
        module: a network, changed in place; its values and parameters stay the same.
        layout: `torch.channels_last` or `torch.contiguous_format`.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=layout)
