"""Pictures as small networks from coordinates to colours, which can be rendered at any resolution afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from inverter_errors import BadInput
from priors import cpu
from priors.base import Prior, Size, as_size
from priors.color import to_image

SPAN = math.sqrt(3)  # coordinates are uniform in [-SPAN, SPAN]: of mean 0 and variance 1
ROWS = 1 << 16
"""How many pixels `render` computes at once."""


class Cppn(Prior):
    """image(x, y) = sigmoid(net_theta(x, y)), theta free (Stanley 2007; Mordvintsev et al. 2018, section "CPPNs").

    A layer is h <- act(h W), act(z) = [atan(z) / .67, atan(z)^2 / .6]: an odd and an even half, each with mean square
    of about 1 for normal z. Each picture has its own weights; all pixels of all pictures are one batched product.
    The function is smooth and independent of a resolution: `render` evaluates it at any size.

    Args:
        count: number of pictures, B.
        size: pixels, one number or (height, width), at which it is optimised. A picture that is not square shows more
            of the same plane along its longer side.
        width: units of each hidden layer, before the activation doubles them; at least 1.
        depth: number of hidden layers, at least 1.
        frequency: standard deviation of the first layer's weights, times the root of their fan-in: the amount of
            detail across the picture.
        spread: standard deviation of the last layer's weights, times the root of their fan-in: the contrast of the
            start.
        image_channels: number of channels of the pictures, C.

    Raises:
        BadInput: for a count, size, width or depth out of its range.

    Example:
        >>> prior = Cppn(2, size=(16, 24))
        >>> prior.reset([torch.Generator().manual_seed(seed) for seed in (0, 1)])
        >>> prior().shape, prior.render((160, 240)).shape
        (torch.Size([2, 3, 16, 24]), torch.Size([2, 3, 160, 240]))
    """

    # SqueezeNet's flamingo: 431 after 260 steps at 96 px; with .008, frequency 1 and 160 steps it was 193 at 112 px.
    # It needs several times the steps of `Fourier`.
    learning_rate: ClassVar[float] = 0.004
    recordable: ClassVar[bool] = True
    places: Tensor

    def __init__(
        self,
        count: int = 1,
        size: Size = 224,
        width: int = 24,
        depth: int = 8,
        frequency: float = 2.0,
        spread: float = 0.1,
        image_channels: int = 3,
    ) -> None:
        super().__init__(count)
        self.size = as_size(size)
        for name, value in (("width", width), ("depth", depth)):
            if not isinstance(value, int) or value < 1:
                raise BadInput(f"{name} must be an integer of at least 1, got {value!r}")
        self.frequency, self.spread = frequency, spread
        inputs = [2, *[2 * width] * depth]
        outputs = [*[width] * depth, image_channels]
        self.weights = nn.ParameterList(cpu.zeros(count, a, b) for a, b in zip(inputs, outputs, strict=True))
        self.biases = nn.ParameterList(cpu.zeros(count, 1, b) for b in outputs)
        self.register_buffer("places", _places(self.size), persistent=False)

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        for index, generator in zip(range(self.count), generators, strict=True):
            gains = [self.frequency, *[1.0] * (len(self.weights) - 2), self.spread]
            for gain, weight, bias in zip(gains, self.weights, self.biases, strict=True):
                weight[index] = gain * weight.shape[1] ** -0.5 * cpu.randn(weight.shape[1:], generator=generator)
                bias[index] = 0
        self.started = True

    def _colours(self, places: Tensor) -> Tensor:
        """The colours (B, N, C) in [0, 1] at coordinates (N, 2)."""
        z = places.expand(self.count, -1, -1)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = torch.baddbmm(bias, activation(z) if layer else z, weight)
        return to_image(z)

    def forward(self) -> Tensor:
        return self._colours(self.places).transpose(1, 2).unflatten(2, self.size)

    @torch.no_grad()
    def render(self, size: Size) -> Tensor:
        """Renders the same view at another resolution, without gradients.

        Args:
            size: pixels, one number or (height, width); another aspect ratio shows more or less of the plane along one
                side.

        Returns:
            The pictures, (B, C, height, width) in [0, 1].

        Raises:
            BadInput: if a side is not a positive integer.
        """
        height, width = as_size(size)
        parts = [self._colours(places) for places in _places((height, width)).to(self.places).split(ROWS)]
        return torch.cat(parts, 1).transpose(1, 2).unflatten(2, (height, width))


def activation(z: Tensor) -> Tensor:
    """The composite activation of Mordvintsev et al. 2018: (..., n) -> (..., 2 n), atan(z) / .67 and atan(z)^2 / .6.

    Example:
        >>> activation(torch.zeros(1, 4)).shape
        torch.Size([1, 8])
    """
    bent = torch.atan(z)
    return torch.cat([bent * (1 / 0.67), bent.square() * (1 / 0.6)], -1)


def _places(size: tuple[int, int]) -> Tensor:
    """The centres (N, 2) of all pixels, row by row, as (x, y); the shorter side spans [-SPAN, SPAN]."""
    height, width = size
    y, x = (SPAN * (2 * cpu.arange(side) + 1 - side) / min(size) for side in (height, width))
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], -1).flatten(0, 1)
