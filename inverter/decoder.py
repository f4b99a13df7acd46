"""A decoder: a first guess at the picture of a code, linear and in closed form, learnt from random pictures."""

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
"""Of codes, about, that a decoder is learnt from: 32 pictures of 26 x 26 positions."""
MOST = 64
"""Pictures that it is learnt from, at most."""
COMPONENTS = 48
"""Principal components of a code's channels that the guess is made from, at most."""
NEAR = 3
"""Width of the neighbourhood of positions that says what is at its middle."""
FINER = 2
"""Pixels of the guess along each position of the code; between them it is smooth."""
RIDGE = 0.1
"""What is added to each variance, in mean variances."""


@dataclass(frozen=True, eq=False)
class Decoder:
    """Ridge regression of a small picture on the principal components of a map's channels near each position.

    A pre-image that starts from grey takes most of its steps for what the code says weakly: the brightness and colour
    of large regions, to which convolutions with edges in mind hardly respond. A linear map reads them off the code.

    Attributes:
        components: (C, n), of a code's channels. weight: (n NEAR^2, 3 FINER^2), bias: (3 FINER^2,), to the pixels of
            the guess at a position, before the sigmoid.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
        >>> decoder = Decoder.fit(net, "1", (32, 32))
        >>> decoder(encode(net, torch.rand(5, 3, 32, 32), "1")["1"], (32, 32)).shape
        torch.Size([5, 3, 32, 32])
    """

    components: Tensor
    weight: Tensor
    bias: Tensor

    @classmethod
    @torch.no_grad()
    def fit(cls, model: Model | nn.Module | str, layer: str, size: tuple[int, int]) -> Decoder:
        """The decoder of a layer for pictures of `size` (height, width), the same each time.

        Raises:
            NotFound: for a layer that the network does not have.
            BadInput: for a layer that puts out no map (B, C, h, w), or a network that cannot take such pictures.
        """
        model = load_model(model)
        shape = tuple(model.shapes([layer], size)[layer])
        if len(shape) != 4:
            raise BadInput(f"a decoder needs a map (B, C, h, w), but layer {layer!r} puts out {shape}")
        count = max(2, min(MOST, POSITIONS // (shape[2] * shape[3])))
        pictures = dead_leaves(count, size, torch.Generator().manual_seed(0))
        codes = encode(model, pictures, layer)[layer]
        channels = codes.transpose(0, 1).flatten(1)
        _, axes = torch.linalg.eigh(torch.cov(channels))  # the largest variances come last
        components = axes[:, -COMPONENTS:]
        small = F.interpolate(from_image(pictures), (FINER * shape[2], FINER * shape[3]), mode="area")
        wanted = F.pixel_unshuffle(small, FINER).flatten(2).transpose(1, 2).flatten(0, 1)
        seen = _neighbourhoods(codes, components).flatten(0, 1)
        middle, level = seen.mean(0), wanted.mean(0)
        seen = seen - middle
        covariance = seen.T @ seen
        covariance.diagonal().add_(RIDGE * covariance.diagonal().mean().clamp_min(1e-12))
        weight = torch.linalg.solve(covariance.double(), (seen.T @ (wanted - level)).double()).float()
        return cls(components, weight, level - middle @ weight)

    @torch.no_grad()
    def __call__(self, code: Tensor, size: tuple[int, int]) -> Tensor:
        """Pictures (B, 3, *size) in [0, 1] of maps (B, C, h, w); blurred, and right where they are smooth."""
        code = code.float().cpu()
        pixels = _neighbourhoods(code, self.components) @ self.weight + self.bias
        small = F.pixel_shuffle(pixels.transpose(1, 2).unflatten(2, code.shape[2:]), FINER)
        return to_image(F.interpolate(small, size, mode="bicubic"))


def _neighbourhoods(code: Tensor, components: Tensor) -> Tensor:
    """(B, positions, n NEAR^2): the principal components of what is at and around each position of (B, C, h, w)."""
    maps = torch.einsum("bchw,cn->bnhw", code, components)
    return F.unfold(F.pad(maps, (NEAR // 2,) * 4, mode="replicate"), NEAR).transpose(1, 2)
