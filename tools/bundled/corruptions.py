"""Corruptions that do not occur in training, to measure the robustness of the bundled network.

After Hendrycks & Dietterich (2019). Each function maps images (B,3,H,W) in [0, 1] to corrupted ones, well beyond the
clutter of the synthetic images and the augmentation of the training.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Corruption = Callable[[Tensor, torch.Generator], Tensor]


def noise(x: Tensor, g: torch.Generator) -> Tensor:
    return (x + 0.14 * torch.randn(x.shape, generator=g).to(x.device)).clamp(0, 1)


def salt_and_pepper(x: Tensor, g: torch.Generator) -> Tensor:
    u = torch.rand((x.shape[0], 1, *x.shape[2:]), generator=g).to(x.device)
    return torch.where(u < 0.02, torch.zeros_like(x), torch.where(u > 0.98, torch.ones_like(x), x))


def blur(x: Tensor, _: torch.Generator) -> Tensor:
    """Gaussian, sigma 2 pixels: twice the strongest blur of the synthetic images."""
    taps = torch.exp(-0.5 * (torch.arange(-6, 7, device=x.device) / 2.0) ** 2)
    kernel = (taps / taps.sum()).expand(3, 1, -1)
    x = F.conv2d(F.pad(x, (6, 6, 6, 6), mode="reflect"), kernel[:, :, None], groups=3)
    return F.conv2d(x, kernel[..., None], groups=3)


def pixelate(x: Tensor, _: torch.Generator) -> Tensor:
    small = F.interpolate(x, scale_factor=0.375, mode="area")
    return F.interpolate(small, size=x.shape[-2:], mode="nearest")


def low_contrast(x: Tensor, _: torch.Generator) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + 0.4 * (x - mean)


def high_contrast(x: Tensor, _: torch.Generator) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    return (mean + 2.0 * (x - mean)).clamp(0, 1)


def dark(x: Tensor, _: torch.Generator) -> Tensor:
    return x * 0.45


def jpeg(x: Tensor, _: torch.Generator) -> Tensor:
    out = []
    for picture in (x.permute(0, 2, 3, 1) * 255).round().byte().cpu().numpy():
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=12)
        out.append(torch.from_numpy(np.array(Image.open(buffer), dtype=np.float32) / 255))
    return torch.stack(out).permute(0, 3, 1, 2).to(x.device)


CORRUPTIONS: dict[str, Corruption] = {
    function.__name__.replace("_", " "): function
    for function in (noise, salt_and_pepper, blur, pixelate, low_contrast, high_contrast, dark, jpeg)
}
