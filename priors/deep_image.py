"""The deep image prior: pictures as the output of an untrained convolutional network on fixed noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter_errors import BadInput
from priors import cpu
from priors.base import Prior, Size, as_size
from priors.color import to_image
from priors.precision import has_bfloat16

Layer = Callable[[Tensor, int, int, int], Tensor]
"""`layer(x, channels, kernel, stride)`: padded convolution, normalisation and leaky ReLU."""


class DeepImage(Prior):
    """image = net_theta(z), z fixed noise, theta free (Ulyanov et al. 2018, eq. 2).

    A convolutional network fits natural images much sooner than noise, so that the path of the optimisation, not a
    penalty, is the prior. Each picture has its own network; all of them run at once as one network of grouped
    convolutions. Normalisation is per picture, so that pictures do not influence each other.

    During optimisation the input noise is perturbed in each step (`shake`), as in the paper. Without gradients, as
    the engine reads the result, `forward` returns the exponential moving average of the pictures so far, if any.

    Args:
        count: number of pictures, B.
        size: pixels, one number or (height, width), at least 8.
        channels: channels of the network at each of its scales, each half as large as the one before; scales smaller
            than 4 pixels are omitted.
        skip: channels of the skip connection at each scale; 0 for a plain hourglass without them.
        inputs: channels of the noise.
        shake: standard deviation of the perturbation of the noise, relative to the range of the noise.
        average: decay of the moving average of the pictures, in [0, 1); 0 takes the last picture.
        bfloat16: compute in bfloat16; None does so where the hardware multiplies in it.
        image_channels: number of channels of the pictures, C.

    Raises:
        BadInput: for a count, size, number of channels, shake or average out of its range.

    Example:
        >>> prior = DeepImage(2, size=(32, 48), channels=(8, 16))
        >>> prior.reset([torch.Generator().manual_seed(seed) for seed in (0, 1)])
        >>> prior().shape
        torch.Size([2, 3, 32, 48])
    """

    # At .01 and above, classes become blobs of colour; at .005 flamingos appear after 150 steps (SqueezeNet, 112 px).
    learning_rate: ClassVar[float] = 0.005
    recordable: ClassVar[bool] = True
    batched: ClassVar[tuple[str, ...]] = ("noise", "shaking", "mean", "weight")
    noise: Tensor
    shaking: Tensor
    mean: Tensor
    weight: Tensor

    def __init__(
        self,
        count: int = 1,
        size: Size = 224,
        channels: Sequence[int] = (16, 32, 64, 128, 128),
        skip: int = 4,
        inputs: int = 32,
        shake: float = 0.03,
        average: float = 0.9,
        bfloat16: bool | None = None,
        image_channels: int = 3,
    ) -> None:
        super().__init__(count)
        self.size = height, width = as_size(size)
        if min(self.size) < 8:
            raise BadInput(f"size must be at least 8 pixels each way, got {height}x{width}")
        widths = list(channels)
        if not widths or not all(isinstance(n, int) and n >= 1 for n in [*widths, inputs]) or skip < 0:
            raise BadInput(f"expected channels and inputs >= 1 and skip >= 0, got {widths}, {inputs} and {skip}")
        if not 0 <= average < 1 or not shake >= 0:
            raise BadInput(f"expected an average in [0, 1) and shake >= 0, got {average!r} and {shake!r}")
        self.channels = widths[: int(math.log2(min(self.size) / 4))]
        self.skip, self.shake, self.average, self.in_bfloat16 = skip, shake, average, bfloat16
        self.kernels, self.gains, self.shifts = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()

        def planned(x: Tensor, out: int, kernel: int, stride: int) -> Tensor:
            self.kernels.append(cpu.zeros(count, out, x.shape[1], kernel, kernel))
            self.gains.append(cpu.ones(count, out))
            self.shifts.append(cpu.zeros(count, out))
            return x.new_empty(1, out, *(-(-side // stride) for side in x.shape[2:]))

        self._network(torch.empty(1, inputs, height, width, device="meta"), planned)
        self.mixing = nn.Parameter(cpu.zeros(count, image_channels, self.channels[0], 1, 1))
        self.colour = nn.Parameter(cpu.zeros(count, image_channels))
        self.register_buffer("noise", cpu.zeros(count, inputs, height, width))
        self.register_buffer("shaking", cpu.zeros(count, inputs, height, width))
        self.register_buffer("mean", cpu.zeros(count, image_channels, height, width))
        self.register_buffer("weight", cpu.zeros(count, 1, 1, 1))

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        for index, generator in zip(range(self.count), generators, strict=True):
            self.noise[index] = 0.1 * cpu.rand(self.noise.shape[1:], generator=generator)
            self.shaking[index] = 0.1 * cpu.randn(self.shaking.shape[1:], generator=generator)
            for kernel in [*self.kernels, self.mixing]:
                reach = kernel[index, 0].numel() ** -0.5
                kernel[index] = reach * (2 * cpu.rand(kernel.shape[1:], generator=generator) - 1)
        for gain, shift in zip(self.gains, self.shifts, strict=True):
            gain.fill_(1)
            shift.zero_()
        for rest in (self.colour, self.mean, self.weight):
            rest.zero_()
        self.started = True

    def _network(self, x: Tensor, layer: Layer) -> Tensor:
        """The hourglass: down through the scales and up again, with a narrow skip connection at each of them."""
        across = []
        for channels in self.channels:
            across.append((layer(x, self.skip, 1, 1) if self.skip else None, x.shape[2:]))
            x = layer(layer(x, channels, 3, 2), channels, 3, 1)
        for channels, (way, size) in zip(reversed(self.channels), reversed(across), strict=True):
            x = _scaled(x, size)
            if way is not None:
                x = self._concatenated(x, way)
            x = layer(layer(x, channels, 3, 1), channels, 1, 1)
        return x

    def _concatenated(self, x: Tensor, way: Tensor) -> Tensor:
        """The channels of both, picture by picture."""
        pictures = 1 if x.is_meta else self.count
        # Channels last, as they lie in memory: any other concatenation would copy them to a new layout.
        parts = [part.permute(0, 2, 3, 1).unflatten(3, (pictures, -1)) for part in (x, way)]
        return torch.cat(parts, 4).flatten(3).permute(0, 3, 1, 2)

    def _layers(self) -> Layer:
        """The layers of the network, in the order in which `_network` calls them."""
        parameters = zip(self.kernels, self.gains, self.shifts, strict=True)

        def layer(x: Tensor, out: int, kernel: int, stride: int) -> Tensor:
            weight, gain, shift = next(parameters)
            if kernel > 1:
                x = _mirrored(x, kernel // 2)
            x = F.conv2d(x, weight.flatten(0, 1).to(x.dtype), stride=stride, groups=self.count)
            # Pictures are groups of channels of a batch of one, so that each has its own statistics.
            x = F.batch_norm(x, None, None, gain.flatten(), shift.flatten(), training=True)
            return F.leaky_relu(x, 0.2)

        return layer

    def forward(self) -> Tensor:
        """The pictures, (B, C, H, W) in [0, 1]: the current ones, or without gradients the average so far."""
        learning = torch.is_grad_enabled()
        if not learning and self.average and bool((self.weight > 0).all()):
            return self.mean / self.weight
        z = self.noise + self.shake * self.shaking if learning and self.shake else self.noise
        # Channels last in memory: grouped convolutions are twice as fast.
        z = z.flatten(0, 1)[None].contiguous(memory_format=torch.channels_last)
        if has_bfloat16(z.device) if self.in_bfloat16 is None else self.in_bfloat16:
            # Everything, not by autocast, which converts to float32 and back for padding and resizing: twice as slow.
            z = z.bfloat16()
        features = self._network(z, self._layers())
        features = features.float().unflatten(1, (self.count, -1))[0]
        mixed = self.mixing.flatten(2) @ features.flatten(2) + self.colour[..., None]
        image = to_image(mixed.unflatten(2, self.size))
        if learning and self.average:
            with torch.no_grad():
                self.mean.lerp_(image, 1 - self.average)
                self.weight.lerp_(torch.ones_like(self.weight), 1 - self.average)
        return image

    @torch.no_grad()
    def project(self, step: int) -> None:
        # The same numbers at other positions are new noise, without random draws, and the offset is part of the state.
        # A shift by a prime repeats only after as many steps as there are numbers.
        self.shaking.copy_(self.shaking.flatten(1).roll(7919, 1).view_as(self.shaking))


def _scaled(x: Tensor, size: torch.Size) -> Tensor:
    """Maps (1, C, H, W) at another size, bilinearly."""
    if x.device.type == "cpu" and x.dtype == torch.float32:
        # On CPUs the kernel for channels-last memory is four times slower than the planar one and two copies.
        return F.interpolate(x.contiguous(), size=size, mode="bilinear").contiguous(memory_format=torch.channels_last)
    return F.interpolate(x, size=size, mode="bilinear")


def _mirrored(x: Tensor, margin: int) -> Tensor:
    """Maps (1, C, H, W) with reflection padding."""
    if x.device.type == "cpu" or not torch.are_deterministic_algorithms_enabled():
        return F.pad(x, (margin,) * 4, mode="reflect")
    # The same from slices: torch has no deterministic gradient of reflection padding on a GPU.
    for dim in (2, 3):
        before, after = x.narrow(dim, 1, margin), x.narrow(dim, x.shape[dim] - 1 - margin, margin)
        x = torch.cat([before.flip(dim), x, after.flip(dim)], dim)
    return x
