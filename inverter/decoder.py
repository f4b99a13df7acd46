"""A decoder: a first guess at the picture of a code by a linear map in closed form, fitted to random pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter.codes import encode
from inverter.loading import load_model
from inverter.models import Model
from inverter_errors import BadInput
from priors.color import from_image, to_image
from priors.dead_leaves import dead_leaves

POSITIONS = 22_000
"""Positions of codes that a decoder is fitted to, about: 32 pictures of 26 x 26 positions."""
MOST = 64
"""Pictures that it is fitted to, at most."""
COMPONENTS = 48
"""Principal components of a code's channels that the guess is made from, at most."""
NEAR = 3
"""Width of the neighbourhood of positions that predicts the pixels at its middle."""
FINER = 2
"""Pixels of the guess along each position of the code; between them it is interpolated."""
RIDGE = 0.1
"""The ridge penalty that is added to each variance, as a fraction of the mean variance."""


@dataclass(frozen=True, eq=False)
class Decoder:
    """Ridge regression of a small picture on the principal components of a map's channels near each position.

    A pre-image that starts from grey spends most of its steps on what the code encodes weakly: the brightness and
    colour of large regions, to which edge-like filters hardly respond. A linear map reads them off the code.

    Attributes:
        components: (C, n), the principal components of a code's channels.
        weight: (n NEAR^2, 3 FINER^2), to the pixels of the guess at a position, before the sigmoid.
        bias: (3 FINER^2,), of the same map.
        level: (C,), means of the code's channels.
        spread: (C,), their standard deviations.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
        >>> decoder = Decoder.fit(net, "1", (32, 32))
        >>> decoder(encode(net, torch.rand(5, 3, 32, 32), "1")["1"], (32, 32)).shape
        torch.Size([5, 3, 32, 32])
    """

    components: Tensor
    weight: Tensor
    bias: Tensor
    level: Tensor
    spread: Tensor

    @classmethod
    @torch.no_grad()
    def fit(cls, model: Model | nn.Module | str, layer: str, size: tuple[int, int]) -> Decoder:
        """Fits the decoder of a layer; the result is the same each time.

        Args:
            model: from `load_model`, or what `load_model` takes.
            layer: address of a layer that outputs maps.
            size: (height, width) of the pictures in pixels.

        Returns:
            The decoder.

        Raises:
            LayerNotFound: for a layer that the network does not have.
            BadInput: for a layer that outputs no map (B, C, h, w), or a network that cannot take such pictures.
        """
        model = load_model(model)
        shape = tuple(model.shapes([layer], size)[layer])
        if len(shape) != 4:
            raise BadInput(f"a decoder needs a map (B, C, h, w), but layer {layer!r} outputs {shape}")
        count = max(2, min(MOST, POSITIONS // (shape[2] * shape[3])))
        pictures = dead_leaves(count, size, torch.Generator("cpu").manual_seed(0), len(model.mean))
        codes = encode(model, pictures, layer)[layer]
        channels = codes.transpose(0, 1).flatten(1)
        _, axes = torch.linalg.eigh(torch.cov(channels))  # the largest variances come last
        components = axes[:, -COMPONENTS:]
        small = F.interpolate(from_image(pictures), (FINER * shape[2], FINER * shape[3]), mode="area")
        expected = F.pixel_unshuffle(small, FINER).flatten(2).transpose(1, 2).flatten(0, 1)
        seen = _neighbourhoods(codes, components).flatten(0, 1)
        middle, level = seen.mean(0), expected.mean(0)
        seen = seen - middle
        covariance = seen.T @ seen
        covariance.diagonal().add_(RIDGE * covariance.diagonal().mean().clamp_min(1e-12))
        weight = torch.linalg.solve(covariance.double(), (seen.T @ (expected - level)).double()).float()
        return cls(components, weight, level - middle @ weight, channels.mean(1), channels.std(1))

    @torch.no_grad()
    def __call__(self, code: Tensor, size: tuple[int, int]) -> Tensor:
        """Guesses the pictures of codes; they are blurred, and accurate where the pictures are smooth.

        Args:
            code: (B, C, h, w), maps of the layer.
            size: (height, width) of the pictures in pixels.

        Returns:
            (B, C, *size) in [0, 1], on the CPU.
        """
        code = code.float().cpu()
        pixels = _neighbourhoods(code, self.components) @ self.weight + self.bias
        small = F.pixel_shuffle(pixels.transpose(1, 2).unflatten(2, code.shape[2:]), FINER)
        return to_image(F.interpolate(small, size, mode="bicubic"))


def _neighbourhoods(code: Tensor, components: Tensor) -> Tensor:
    """(B, positions, n NEAR^2): the principal components at and around each position of maps (B, C, h, w)."""
    maps = torch.einsum("bchw,cn->bnhw", code, components)
    return F.unfold(F.pad(maps, (NEAR // 2,) * 4, mode="replicate"), NEAR).transpose(1, 2)
