"""A dream's guide: each position of a layer is pulled to what the guide shows at its best matching position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from objectives import Activations, Objective

KEPT: Final = 0.5
"""Share of a guide's positions that are matched: those that differ most from the photo. The others are background."""
DETAIL: Final = 4
"""Colours of a position, at most, along each side of its cell of the picture."""
COLOUR_WEIGHT: Final = 1.0
"""Weight of the colours, relative to the features."""
CHUNK: Final = 1024
"""Positions of a layer that are matched with the guide's at a time, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class Guide:
    """What a guide shows at a layer, relative to the photo that is dreamt on.

    Attributes:
        layer: address of a layer with maps (B, C, H, W).
        ordinary: (C,), the layer's mean over the photo: what the photo has anyway is no feature of the guide.
        vectors: (C, N), the guide's activations at N positions, minus `ordinary`.
        colours: (3 detail^2, N), the guide's colours in the cells of these positions, detail x detail for each.
        detail: number of colours along a side of a cell.
    """

    layer: str
    ordinary: Tensor
    vectors: Tensor
    colours: Tensor
    detail: int

    @classmethod
    def of(cls, layer: str, guide: Tensor, shown: Tensor, photo: Tensor) -> Guide:
        """The guide's positions that differ most from the photo.

        Args:
            layer: address of the layer.
            guide: the layer's activations for the guide, (1, C, h, w).
            shown: the guide itself, (1, 3, H, W) in [0, 1].
            photo: the layer's activations for the photo, (1, C, h', w').

        Returns:
            The guide, with the share `KEPT` of its positions.

        Example:
            >>> maps = torch.tensor([5.0, 1.0, 1.0, 1.0]).view(1, 1, 2, 2)
            >>> guide = Guide.of("conv", maps, torch.rand(1, 3, 8, 8), torch.ones(1, 1, 2, 2))
            >>> guide.vectors.amax().item(), guide.colours.shape, guide.detail
            (4.0, torch.Size([48, 2]), 4)
        """
        ordinary = photo.detach().float().mean((0, 2, 3))
        vectors = guide.detach().float().flatten(2)[0] - ordinary[:, None]
        kept = vectors.norm(dim=0).topk(max(1, int(KEPT * vectors.shape[1]))).indices
        detail = max(1, min(DETAIL, shown.shape[2] // guide.shape[2], shown.shape[3] // guide.shape[3]))
        colours = _cells(shown, guide, detail)[0].T
        return cls(layer, ordinary, vectors[:, kept], colours[:, kept], detail)

    def features(self) -> Objective:
        """Likeness to the best matching position of the guide (Mordvintsev et al. 2015).

        The mean over positions i of <x_i, y_j>, with y_j the vector of the guide that points most in the direction of
        x_i: x and y are relative to `ordinary`, and j is chosen by the cosine, so that strong positions of the guide
        do not attract all others.
        """

        def score(activations: Activations) -> Tensor:
            features, best, _ = self._matched(activations)
            return (features * self.vectors.to(features).T[best]).sum(2).mean(1)

        return Objective(f"guided({self.layer})", (self.layer,), score)

    def coloured(self) -> Objective:
        """Minus the squared difference of the colours in each position's cell from those of its match.

        It counts as much as the match is good, by the squared cosine. The features alone leave colours as they are: a
        deep layer recognises a flamingo that is blue.
        """

        def score(activations: Activations) -> Tensor:
            assert activations.image is not None  # a dream passes it
            _, best, likeness = self._matched(activations)
            seen = _cells(activations.image, activations[self.layer], self.detail)
            return -((seen - self.colours.to(seen).T[best]).square().mean(2) * likeness.square()).mean(1)

        return Objective(f"coloured({self.layer})", (self.layer,), score)

    def _matched(self, activations: Activations) -> tuple[Tensor, Tensor, Tensor]:
        """The positions' vectors (B, M, C), the best match of each (B, M), and its cosine, at least 0, (B, M)."""
        features = activations[self.layer].float().flatten(2).transpose(1, 2)
        features = features - self.ordinary.to(features)
        with torch.no_grad():  # in chunks: all products at once would need more memory than the layer itself
            directions = F.normalize(self.vectors.to(features), dim=0)
            best = [(chunk @ directions).max(2) for chunk in features.split(CHUNK, 1)]
            size = torch.cat([match.values for match in best], 1)
            likeness = (size / features.norm(dim=2).clamp_min(1e-12)).clamp_min(0)
        return features, torch.cat([match.indices for match in best], 1), likeness


def _cells(picture: Tensor, maps: Tensor, detail: int) -> Tensor:
    """The colours of a picture (B, 3, H, W) in the cell of each position of maps (B, C, h, w): (B, h w, 3 detail^2)."""
    height, width = maps.shape[2:]
    colours = F.adaptive_avg_pool2d(picture, (height * detail, width * detail))
    return F.pixel_unshuffle(colours, detail).flatten(2).transpose(1, 2)
