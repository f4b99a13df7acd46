"""The step function of JumpReLU, with the derivative that its thresholds are trained by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, thresholds: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(values, thresholds)
        ctx.bandwidth = bandwidth
        return (values > thresholds).to(values.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        values, thresholds = ctx.saved_tensors
        near = (values - thresholds).abs() < ctx.bandwidth / 2
        return None, -(near * gradients[0]).sum(0) / ctx.bandwidth, None


def step(values: Tensor, thresholds: Tensor, bandwidth: float) -> Tensor:
    """1 where a value is above its threshold, else 0; differentiable in the thresholds alone.

    The derivative is that of the expectation over values that are uniform within a kernel of a width (a rectangle,
    Rajamanoharan et al. 2024, "Jumping ahead", eq. 11 and 12).

    Args:
        values: (B, N).
        thresholds: (N,).
        bandwidth: width of the kernel.

    Returns:
        (B, N).
    """
    result: Tensor = _Step.apply(values, thresholds, bandwidth)
    return result
