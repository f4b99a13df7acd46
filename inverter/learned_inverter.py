"""A learned inverter: a feed-forward network from the code of a layer to the picture, in one pass."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter.codes import TOGETHER
from inverter.decoder import FINER, NEAR, Decoder
from inverter.models import Model
from inverter.tensor_files import read_tensors, write_tensors
from inverter_errors import BadInput

WIDTH = 96
"""Channels at the resolution of the code; each doubling of the resolution halves them, down to `LEAST`."""
LEAST = 16
DEPTH = 3
"""Residual blocks at the resolution of the code; half as many, at least one, at each finer one."""


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        _silence(self.two)  # a block begins as the identity

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(F.leaky_relu(self.one(F.leaky_relu(x, 0.2)), 0.2))


def _silence(convolution: nn.Conv2d) -> None:
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)


class LearnedInverter(nn.Module):
    """An up-convolutional network from codes to pictures (Dosovitskiy & Brox 2016, "Inverting visual representations").

    It adds detail to what the closed-form decoder reads off the code (`inverter.decoder`), whose linear map is its
    first layer and is trained further.

    Args:
        channels: of the code.
        stride: pixels of the picture along each position of the code.
        width: channels at the resolution of the code.
        depth: residual blocks there.

    Attributes:
        layer: address of the layer that it inverts.
        sha256: hex digest of the weights of the network that it belongs to.
        about: the record of its training.

    Example:
        >>> LearnedInverter(8, 4, width=16)(torch.rand(2, 8, 6, 5), (24, 20)).shape
        torch.Size([2, 3, 24, 20])
    """

    level: Tensor
    spread: Tensor

    def __init__(self, channels: int, stride: int, width: int = WIDTH, depth: int = DEPTH) -> None:
        super().__init__()
        self.layer, self.sha256, self.about = "", "", dict[str, Any]()
        self.channels, self.stride, self.width, self.depth = channels, stride, width, depth
        self.register_buffer("level", torch.zeros(channels))
        self.register_buffer("spread", torch.ones(channels))
        self.linear = nn.Conv2d(channels, 3 * FINER**2, NEAR)
        stages: list[nn.Module] = [nn.Conv2d(channels, width, 1), *(_Residual(width) for _ in range(depth))]
        for _ in range(self.doublings):
            finer = max(LEAST, width // 2)
            stages += [nn.Conv2d(width, 4 * finer, 3, padding=1), nn.PixelShuffle(2)]
            stages += [_Residual(finer) for _ in range(max(1, depth // 2))]
            width = finer
        last = nn.Conv2d(width, 3, 3, padding=1)
        _silence(last)
        self.detail = nn.Sequential(*stages, nn.LeakyReLU(0.2), last)

    @property
    def doublings(self) -> int:
        """How often the resolution of the code is doubled: to the power of two that is nearest to the stride."""
        return max(0, round(math.log2(self.stride)))

    def start_from(self, decoder: Decoder, level: Tensor, spread: Tensor) -> None:
        """Takes over a closed-form decoder, and the moments of the code's channels.

        Args:
            decoder: fitted to the same layer.
            level: (C,) means of the channels.
            spread: (C,) standard deviations.
        """
        spread = spread.clamp_min(1e-3 * float(spread.mean()) + 1e-12)
        with torch.no_grad():
            self.level.copy_(level)
            self.spread.copy_(spread)
            kernel = decoder.weight.unflatten(0, (-1, NEAR, NEAR))  # (n, NEAR, NEAR, 3 FINER^2)
            kernel = torch.einsum("cn,nyxo->ocyx", decoder.components, kernel)
            assert self.linear.bias is not None
            self.linear.bias.copy_(decoder.bias + kernel.sum((2, 3)) @ level)
            self.linear.weight.copy_(kernel * spread[:, None, None])

    def forward(self, code: Tensor, size: tuple[int, int]) -> Tensor:
        """The pictures of codes.

        Args:
            code: (B, C, h, w), maps of the layer.
            size: (height, width) of the pictures in pixels.

        Returns:
            (B, 3, *size) in [0, 1].
        """
        code = (code.float() - self.level[:, None, None]) / self.spread[:, None, None]
        # Positions lie `stride` pixels apart and do not reach the border of the picture, which padding adds.
        pixels = [side * self.stride for side in code.shape[2:]]
        margin = [max(0, -(-(side - own) // (2 * self.stride))) for side, own in zip(size, pixels, strict=True)]
        code = F.pad(code, (margin[1], margin[1], margin[0], margin[0]), mode="replicate")
        code = code.contiguous(memory_format=torch.channels_last)
        full = [side * self.stride for side in code.shape[2:]]
        coarse = F.pixel_shuffle(self.linear(F.pad(code, (NEAR // 2,) * 4, mode="replicate")), FINER)
        coarse = F.interpolate(coarse.float(), full, mode="bicubic")
        fine = self.detail(code)
        if list(fine.shape[2:]) != full:
            fine = F.interpolate(fine, full, mode="bilinear")
        top, left = ((side - own) // 2 for side, own in zip(full, size, strict=True))
        logits = (coarse + fine.float())[
            ..., max(top, 0) : max(top, 0) + size[0], max(left, 0) : max(left, 0) + size[1]
        ]
        if tuple(logits.shape[2:]) != size:
            logits = F.interpolate(logits, size, mode="bicubic")
        return torch.sigmoid(logits)

    @torch.no_grad()
    def pictures(self, codes: Tensor, size: tuple[int, int]) -> Tensor:
        """The pictures of any number of codes, without gradients.

        Args:
            codes: (N, C, h, w), maps of the layer.
            size: (height, width) of the pictures in pixels.

        Returns:
            (N, 3, *size) in [0, 1], on the CPU.
        """
        device = self.level.device
        return torch.cat([self(part.to(device), size).cpu() for part in codes.split(TOGETHER)])

    def check(self, model: Model) -> None:
        """Checks that it was trained for this network with these weights.

        Args:
            model: the network to compare with.

        Raises:
            BadInput: for another network, or the same with other weights.
        """
        if self.sha256 != model.sha256:
            raise BadInput(
                f"the inverter of layer {self.layer!r} was trained for weights {self.sha256[:12]}..., not for "
                f"{model.spec} with weights {model.sha256[:12]}...: train one with inverter train-inverter"
            )


def save_inverter(path: str | Path, inverter: LearnedInverter) -> None:
    """Writes an inverter atomically, in half precision.

    Args:
        path: a `.safetensors` file; its folder is made if it is missing.
        inverter: what to write.

    Raises:
        BadInput: if its name does not end in `.safetensors`.
        OSError: if it cannot be written.
    """
    form = {name: getattr(inverter, name) for name in ("channels", "stride", "width", "depth")}
    about = {
        "inverter": "inverter",
        "layer": inverter.layer,
        "sha256": inverter.sha256,
        "form": json.dumps(form),
        "about": json.dumps(inverter.about),
    }
    tensors = {name: tensor.detach().cpu().half() for name, tensor in inverter.state_dict().items()}
    write_tensors(Path(path), tensors, about, "a learned inverter")


def load_inverter(path: str | Path) -> LearnedInverter:
    """Reads an inverter.

    Args:
        path: a `.safetensors` file that `inverter train-inverter` wrote.

    Returns:
        The inverter, in eval mode, on the CPU.

    Raises:
        MissingFile: if there is no such file.
        BadInput: for a damaged file, or one that is no inverter.
    """
    tensors, about = read_tensors(path, "learned inverter")
    try:
        inverter = LearnedInverter(**json.loads(about["form"]))
        inverter.layer, inverter.sha256, inverter.about = about["layer"], about["sha256"], json.loads(about["about"])
        inverter.load_state_dict(tensors)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise BadInput(f"{path} holds no inverter: expected a file that inverter train-inverter wrote") from error
    inverter.to(memory_format=torch.channels_last)
    return inverter.eval().requires_grad_(False)
