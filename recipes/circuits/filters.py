"""The filters of the first layer, which are pictures as they are."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from inverter import Model

SIDE = 56
"""Pixels of a filter's picture, about; each weight is a square of pixels."""
MOST = 256
"""Filters that are shown."""


class Filters(NamedTuple):
    """The first layer.

    Attributes:
        layer: its address.
        kernels: (K, C, h, w), over the channels of the picture.
    """

    layer: str
    kernels: Tensor

    def pictures(self) -> Tensor:
        """The filters as pictures (K, C, H, W) in [0, 1]: grey is 0, and the largest weight of each has full contrast.

        Example:
            >>> import torch
            >>> Filters("conv", torch.tensor([[[[-2.0, 0.0, 1.0]]]])).pictures()[0, 0, 0, ::18]
            tensor([0.0000, 0.5000, 0.7500])
        """
        largest = self.kernels.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
        times = max(1, SIDE // max(self.kernels.shape[2:]))
        shown = 0.5 + self.kernels / (2 * largest)
        return shown.repeat_interleave(times, 2).repeat_interleave(times, 3)


def first_filters(model: Model) -> Filters | None:
    """The convolution that reads the picture, with at most `MOST` filters; None if there is none of colours or grey.

    Args:
        model: the network.
    """
    channels = len(model.mean)
    if model.networks or channels not in (1, 3):
        return None
    for name, part in model.module.named_modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == channels and part.groups == 1:
            return Filters(name, part.weight.detach().float().cpu()[:MOST])
    return None
