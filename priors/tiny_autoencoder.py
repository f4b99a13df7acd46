"""Tiny autoencoders of natural pictures (TAESD, Bohan 2023): their structure, recognised by the names of tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter_errors import BadInput

WIDTH = 64
"""Channels of every layer between the picture and the latent map."""
POOLED = 256
"""Channels of the gate that blocks of pooled features have."""
STRIDE = 8
"""Pixels of the picture along each position of the latent map."""


class _Bounded(nn.Module):
    """3 tanh(x / 3): latents beyond those of pictures have no effect."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


class _Block(nn.Module):
    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv())
        if pooled:
            wide, narrow = nn.Conv2d(WIDTH, POOLED, 1, bias=False), nn.Conv2d(POOLED, WIDTH, 1, bias=False)
            self.pool = nn.Sequential(wide, nn.GroupNorm(4, POOLED), nn.ReLU(), narrow)
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        if self.pooled:
            x = x + self.pool(x)
        return F.relu(self.conv(x) + x)


def _conv(before: int = WIDTH, after: int = WIDTH, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride, 1, bias=bias)


def _blocks(count: int, pooled: bool = False) -> list[nn.Module]:
    return [_Block(pooled) for _ in range(count)]


def tiny_encoder(latents: int, pooled: bool = True) -> nn.Sequential:
    """From pictures (B, 3, H, W) in [0, 1] to latent maps (B, latents, H / 8, W / 8).

    Args:
        latents: channels of the latent map.
        pooled: whether the blocks of the lowest resolution have a gate.
    """
    return nn.Sequential(
        *(_conv(3), *_blocks(1)),
        *(_conv(stride=2, bias=False), *_blocks(3)),
        *(_conv(stride=2, bias=False), *_blocks(3)),
        *(_conv(stride=2, bias=False), *_blocks(3, pooled), _conv(WIDTH, latents)),
    )


def tiny_decoder(latents: int, pooled: bool = True) -> nn.Sequential:
    """From latent maps (B, latents, h, w) to pictures (B, 3, 8 h, 8 w), in [0, 1] but for what overshoots.

    Args:
        latents: channels of the latent map.
        pooled: whether the blocks of the lowest resolution have a gate.
    """

    def larger() -> list[nn.Module]:
        return [nn.Upsample(scale_factor=2), _conv(bias=False)]

    return nn.Sequential(
        *(_Bounded(), _conv(latents), nn.ReLU(), *_blocks(3, pooled), *larger()),
        *(*_blocks(3), *larger(), *_blocks(3), *larger(), *_blocks(1), _conv(WIDTH, 3)),
    )


def tiny_autoencoder(state: Mapping[str, Tensor], file: str) -> tuple[nn.Module, nn.Module | None]:
    """The decoder, and the encoder where there is one, of a file's tensors.

    Args:
        state: tensors named `decoder.N...` and, optionally, `encoder.N...`.
        file: its name, for errors.

    Returns:
        Decoder, and encoder or None, in eval mode.

    Raises:
        BadInput: for tensors that are none of a tiny autoencoder.
    """
    parts = {part: _part(state, part) for part in ("decoder", "encoder")}
    first = parts["decoder"].get("1.weight")
    if first is None or first.ndim != 4:
        raise BadInput(
            f"{file} holds no tiny autoencoder (names decoder.N and encoder.N, as taef2 has them): "
            "give another decoder as decoder=FILE.py:FACTORY"
        )
    latents, pooled = first.shape[1], any(".pool." in f".{name}" for name in parts["decoder"])
    modules = list[nn.Module]()
    for part, make in (("decoder", tiny_decoder), ("encoder", tiny_encoder)):
        module = make(latents, pooled)
        if not parts[part] and part == "encoder":
            return modules[0], None
        try:
            module.load_state_dict(parts[part])
        except RuntimeError as error:
            raise BadInput(
                f"{file} does not fit a tiny autoencoder's {part}: {' '.join(str(error).split())}"
            ) from error
        modules.append(module.eval())
    return modules[0], modules[1]


def _part(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): value for name, value in state.items() if name.startswith(f"{part}.")}
