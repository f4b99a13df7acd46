"""Faster gradients of frozen layers, for as long as a context lasts and without touching the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from inverter.ascent.folding import computed_type, fixed_statistics
from inverter.ascent.relu_rules import ReLURule
from inverter.ascent.ways import Way, pays

FEW = 4
"""Input channels up to which a strided convolution's own backward pass wastes most of its work: a first layer."""


def by_phases(weight: Tensor, stride: int, padding: int, size: tuple[int, int]) -> Way:
    """The input gradient of a strided convolution as one dense convolution and a pixel shuffle.

    Every stride-th pixel meets the same taps of the kernel: each of the stride x stride phases is an output channel of
    its own, and `pixel_shuffle` interleaves them.

    Args:
        weight: (K, C, k, k) of `y = conv2d(x, weight, None, stride, padding)`.
        stride: of the convolution, along both axes.
        padding: of the convolution, on all sides.
        size: (height, width) of x.

    Returns:
        A function: gradient of y (B, K, h, w) -> gradient of x (B, C, H, W).

    Example:
        >>> x, weight = torch.randn(1, 3, 9, 8, requires_grad=True), torch.randn(5, 3, 3, 3)
        >>> y = F.conv2d(x, weight, None, 2, 1)
        >>> y.sum().backward()
        >>> torch.allclose(by_phases(weight, 2, 1, (9, 8))(torch.ones_like(y)), x.grad, atol=1e-5)
        True
    """
    out, channels, kernel = weight.shape[:3]
    # A pixel i * stride + phase meets output i - d through the tap d * stride + phase + padding.
    first = min(math.ceil(-(phase + padding) / stride) for phase in range(stride))
    last = max((kernel - 1 - phase - padding) // stride for phase in range(stride))
    taps = [[d * stride + phase + padding for d in range(last, first - 1, -1)] for phase in range(stride)]
    padded = F.pad(weight, (0, 1, 0, 1))  # a row and a column of zeros, for taps that a phase does not have
    chosen = torch.tensor([[tap if 0 <= tap < kernel else kernel for tap in row] for row in taps], device=weight.device)
    # (K, C, phase y, d y, phase x, d x) -> (C, phase y, phase x, K, d y, d x)
    woven = padded[:, :, chosen][:, :, :, :, chosen].permute(1, 2, 4, 0, 3, 5)
    woven = woven.reshape(channels * stride * stride, out, len(taps[0]), len(taps[0])).contiguous()
    height, width = size
    tall, wide = -(-height // stride), -(-width // stride)

    def backward(gradient: Tensor) -> Tensor:
        bottom, right = tall - first - gradient.shape[2], wide - first - gradient.shape[3]
        margin = max(last, bottom, right, 0)
        # One margin on all sides, which the convolution adds itself: padding would copy the largest tensor.
        phases = F.conv2d(gradient, woven, None, 1, margin)[:, :, margin - last :, margin - last :]
        return F.pixel_shuffle(phases[:, :, :tall, :wide], stride)[:, :, :height, :width]

    return backward


def by_stuffing(weight: Tensor, stride: int, padding: int, size: tuple[int, int]) -> Way:
    """The input gradient of a depthwise convolution as a depthwise convolution with the flipped kernel.

    With a stride, zeros are inserted between the gradient's positions first.

    Args:
        weight: (C, 1, k, k) of `y = conv2d(x, weight, None, stride, padding, groups=C)`.
        stride: of the convolution, along both axes.
        padding: of the convolution, on all sides.
        size: (height, width) of x.

    Returns:
        A function: gradient of y (B, C, h, w) -> gradient of x (B, C, H, W).

    Example:
        >>> x, weight = torch.randn(1, 3, 9, 8, requires_grad=True), torch.randn(3, 1, 3, 3)
        >>> y = F.conv2d(x, weight, None, 2, 1, groups=3)
        >>> y.sum().backward()
        >>> torch.allclose(by_stuffing(weight, 2, 1, (9, 8))(torch.ones_like(y)), x.grad, atol=1e-5)
        True
    """
    kernel = weight.shape[2]
    flipped = weight.flip(2, 3).contiguous()
    height, width = (side + 2 * padding - kernel + 1 for side in size)

    def backward(gradient: Tensor) -> Tensor:
        if stride > 1:
            size, last = (*gradient.shape[:2], height, width), torch.channels_last
            stuffed = torch.empty(size, dtype=gradient.dtype, device=gradient.device, memory_format=last).zero_()
            stuffed[:, :, ::stride, ::stride] = gradient
            gradient = stuffed
        return F.conv2d(gradient, flipped, None, 1, kernel - 1 - padding, groups=gradient.shape[1])

    return backward


class _Convolution(torch.autograd.Function):
    """conv2d with another computation of its input gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, backward: Way, arguments: tuple[Any, ...]) -> Tensor:
        ctx.backward_of_input = backward
        return F.conv2d(x, *arguments)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        return ctx.backward_of_input(gradients[0]), None, None


class _Scaled(torch.autograd.Function):
    """batch_norm with fixed statistics: its gradient is a factor for each channel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor, arguments: tuple[Any, ...]) -> Tensor:
        ctx.factor = factor
        return F.batch_norm(x, *arguments)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * ctx.factor, None, None


class _Clamped(torch.autograd.Function):
    """clamp(x, 0, ceiling), whose gradient needs only the output: in place, no copy of the input is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ceiling: float, inplace: bool) -> Tensor:
        if inplace:
            ctx.mark_dirty(x)
        y = x.clamp_(0, ceiling) if inplace else x.clamp(0, ceiling)
        ctx.save_for_backward(y)
        ctx.ceiling = ceiling
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        (given,), (y,) = gradients, ctx.saved_tensors
        gradient = given
        last = y.ndim == 4 and y.is_contiguous(memory_format=torch.channels_last)
        if last and given.stride(1) > 1:
            # Another memory order is slow to read; a part of a concatenation's gradient, or that of a mean, is not.
            gradient = given.contiguous(memory_format=torch.channels_last)
        # A copy is not shared, and can become the result.
        passed = torch.empty_like(y if last else gradient) if gradient is given else gradient
        if ctx.ceiling == math.inf:
            torch.ops.aten.threshold_backward.grad_input(gradient, y, 0, grad_input=passed)
        else:
            torch.ops.aten.hardtanh_backward.grad_input(gradient, y, 0, ctx.ceiling, grad_input=passed)
        return passed, None, None


def _only(value: int | Sequence[int] | str) -> int | None:
    """A convolution's setting if it is the same along both axes."""
    if isinstance(value, int):
        return value
    return int(value[0]) if not isinstance(value, str) and len(set(value)) == 1 else None


class InputGradients(ReLURule):
    """A context in which frozen layers compute the gradient of their input faster than torch does.

    Gradients of weights are not needed here, and the input gradient alone is cheaper: of a first convolution with a
    stride by its phases (2 to 3 times as fast on a CPU), of a depthwise one in bfloat16 by another depthwise one (up to
    8 times), of a batch normalisation by one factor, of a ReLU in one memory format. Where it is not known that such a
    way of a convolution is faster, it is measured (`pays`). The values are the same up to rounding. Modules and
    functional calls are covered alike; the network itself is not changed. On other devices than CPUs and CUDA it has no
    effect.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ways: dict[Any, Any] = {}

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is F.conv2d and not kwargs:
            return self._convolution(*args)
        if function is F.batch_norm:
            return self._normalisation(*args, **(kwargs or {}))
        return super().__torch_function__(function, types, args, kwargs)

    def suits(self, x: Tensor) -> bool:
        return _differentiated(x)

    def relu(self, x: Tensor, ceiling: float, inplace: bool) -> Tensor:
        return _Clamped.apply(x, ceiling, inplace)

    def _convolution(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        arguments = (weight, bias, stride, padding, dilation, groups)
        step, pad = _only(stride), _only(padding)
        learns = weight.requires_grad or (bias is not None and bias.requires_grad)
        # A weight that is computed in every forward pass is no parameter, and not worth preparing.
        alone = learns or not isinstance(weight, nn.Parameter) or not _differentiated(x)
        if alone or step is None or pad is None or _only(dilation) != 1 or weight.shape[2] != weight.shape[3]:
            return F.conv2d(x, *arguments)
        dtype = computed_type(x.device.type, x.dtype)
        if groups == 1 and x.shape[1] <= FEW and 1 < step < weight.shape[2]:
            special = by_phases
        elif groups == len(weight) == x.shape[1] and dtype == torch.bfloat16 and pad < weight.shape[2]:
            special = by_stuffing
        else:
            return F.conv2d(x, *arguments)
        key = (id(weight), dtype, x.shape[2:], step, pad)
        if key not in self._ways:
            self._ways[key] = _faster(special, weight.to(dtype), step, pad, x.shape, groups)
        way = self._ways[key]
        return F.conv2d(x, *arguments) if way is None else _Convolution.apply(x, way, arguments)

    def _normalisation(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        fixed = fixed_statistics(x, *args, **kwargs)
        if fixed is None or not _differentiated(x):
            return F.batch_norm(x, *args, **kwargs)
        mean, variance, weight, bias, eps = fixed
        key = (id(variance), x.dtype, x.ndim)
        if key not in self._ways:
            factor = (variance + eps).rsqrt() if weight is None else weight * (variance + eps).rsqrt()
            # Keeps the tensor of the key alive, so that its id is not reused.
            self._ways[key] = factor.to(x.dtype).view(-1, *[1] * (x.ndim - 2)), variance
        return _Scaled.apply(x, self._ways[key][0], (mean, variance, weight, bias, False, 0.0, eps))


def _faster(
    special: Callable[[Tensor, int, int, tuple[int, int]], Way],
    weight: Tensor,
    stride: int,
    padding: int,
    shape: torch.Size,
    groups: int,
) -> Way | None:
    """The special way of a convolution of pictures of this `shape`; None if torch's own is faster."""
    _, channels, height, width = shape
    way = special(weight, stride, padding, (height, width))

    @cache
    def read(count: int) -> Tensor:
        return weight.new_zeros(count, channels, height, width).contiguous(memory_format=torch.channels_last)

    def usual(gradient: Tensor) -> Tensor:
        pair, needed = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups), [True, False, False]
        return torch.ops.aten.convolution_backward(gradient, read(len(gradient)), weight, None, *pair, needed)[0]

    kernel = weight.shape[2]
    size = [(side + 2 * padding - kernel) // stride + 1 for side in (height, width)]
    key = special.__name__, tuple(weight.shape), stride, padding, height, width
    return way if pays(way, usual, (len(weight), *size), key, weight) else None


def _differentiated(x: Tensor) -> bool:
    return x.device.type in ("cpu", "cuda") and x.requires_grad and torch.is_grad_enabled()
