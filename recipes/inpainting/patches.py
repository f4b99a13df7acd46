"""Completion by example: what a hole may hold, copied from the patches of the picture around it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from recipes.inpainting.masks import scaled_mask

PATCH = 7
"""Side of the patches that are compared, in pixels."""
COARSEST = 20
"""Shortest side, in pixels, of the smallest size at which a picture is completed."""
SCALE = 2**0.5
"""Ratio of successive sizes."""
SOURCES = 25_000
"""Patches that are compared with each missing pixel's surroundings, at most, drawn at random from the known ones: among
a few, the one that continues the neighbour's source is seldom found, and the copy is noise."""
BLUR = 15
"""Structure finer than this, in pixels, is detail."""
GUESS = 0.25
"""Weight of a pixel that only the size before has completed, where a known pixel has 1."""
TEXTURE = 3.0
"""Weight of the local contrast in the comparison of patches, where a colour has 1."""


def completed(picture: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """The picture with its missing pixels copied from the places whose surroundings are most alike.

    Missing pixels are completed from the border inward, each by the centre of the known patch that is nearest to what
    surrounds it (Efros and Leung 1999), from small sizes to the picture's own (Wexler et al. 2007). Local contrast is
    compared along with the colours, so that smooth patches do not spread through a hole (Newson et al. 2014).

    Args:
        picture: (C, H, W) in [0, 1].
        mask: (1, H, W), 1 where the picture is known and 0 where it is missing.
        generator: of the choice of the patches (CPU).

    Returns:
        (C, H, W) in [0, 1]; known pixels are those of `picture`. A picture without one fully known patch at a size
        keeps what the sizes before completed, or its mean.

    Example:
        >>> stripes = torch.tensor([0.0, 1.0]).repeat(1, 32, 16)
        >>> mask = torch.ones(1, 32, 32)
        >>> mask[:, 12:20, 12:20] = 0
        >>> bool((completed(stripes, mask, torch.Generator().manual_seed(0)) == stripes).all())
        True
    """
    sizes = [(picture.shape[1], picture.shape[2])]
    while min(sizes[-1]) / SCALE >= COARSEST:
        sizes.append((round(sizes[-1][0] / SCALE), round(sizes[-1][1] / SCALE)))
    described = torch.cat([picture, TEXTURE * _contrast(picture, mask)]) * mask
    known_mean = described.sum((1, 2), keepdim=True) / mask.sum()
    result = known_mean + 0 * described
    for step, size in enumerate(reversed(sizes)):
        known = scaled_mask(mask, size)
        shown = F.interpolate(described[None], size, mode="bilinear", antialias=True)[0]
        guess = F.interpolate(result[None], size, mode="bilinear")[0]
        result = _inward(known * shown + (1 - known) * guess, known, GUESS if step else 0.0, generator)
    return picture * mask + (1 - mask) * result[: len(picture)].clamp(0, 1)


def with_detail(picture: Tensor, example: Tensor) -> Tensor:
    """Pictures with the fine detail of examples in place of their own.

    A network that was fitted to an example for a while has its forms and colours, and softens its texture.

    Args:
        picture: (B, C, H, W).
        example: (B, C, H, W), such as `completed` pictures.

    Returns:
        (B, C, H, W) in [0, 1]: the picture's coarse structure, plus what `example` has beyond its own.

    Example:
        >>> grey, noise = torch.full((1, 1, 16, 16), 0.5), torch.rand(1, 1, 16, 16)
        >>> bool((with_detail(grey, grey) == grey).all()), bool(with_detail(grey, noise).std() > 0.2)
        (True, True)
    """
    return (_coarse(picture) + example - _coarse(example)).clamp(0, 1)


def _coarse(picture: Tensor) -> Tensor:
    """A picture blurred by two boxes of `BLUR` pixels."""
    for _ in range(2):
        picture = F.avg_pool2d(picture, BLUR, stride=1, padding=BLUR // 2, count_include_pad=False)
    return picture


def _contrast(picture: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of neighbours in x and in y around each pixel, of known pixels alone, (2, H, W)."""
    grey = picture.mean(0, keepdim=True)
    across, down = F.pad(grey, (0, 1, 0, 1), mode="replicate")[:, :-1], F.pad(grey, (0, 1, 0, 1), mode="replicate")
    differences = torch.cat([across.diff(dim=2), down[:, :, :-1].diff(dim=1)]).abs()
    inside = -F.max_pool2d(-mask[None], 3, stride=1, padding=1)  # whose neighbours are known as well
    side = 2 * (min(picture.shape[1:]) // 20) + 1
    means = F.avg_pool2d(torch.cat([differences[None] * inside, inside], 1), side, stride=1, padding=side // 2)[0]
    return means[:2] / means[2:].clamp_min(1e-6)


def _inward(picture: Tensor, known: Tensor, guess: float, generator: torch.Generator) -> Tensor:
    """Completes one size: the ring of missing pixels next to known ones first, then the next ring."""
    width = picture.shape[2]
    edge = PATCH // 2
    filled = -F.max_pool2d(-F.pad(known, (edge,) * 4)[None], PATCH, stride=1)[0]
    sources = filled.flatten().nonzero()[:, 0]
    if not len(sources):
        return picture
    sources = sources[torch.randperm(len(sources), generator=generator)[:SOURCES].to(sources.device)]
    picture, weight = picture.clone(), known + (1 - known) * guess
    examples = _patches(picture, sources)
    squares, centres = examples.square(), picture.flatten(1)[:, sources]
    known = known.clone()
    while not bool(known.all()):
        ring = ((known == 0) & (F.max_pool2d(known[None], 3, stride=1, padding=1)[0] > 0)).flatten().nonzero()[:, 0]
        for pixels in ring.split(1024):
            of_pixels = _patches(weight, pixels).repeat(1, len(picture))
            weighted = of_pixels * _patches(picture, pixels)
            nearest = (of_pixels @ squares.T - 2 * weighted @ examples.T).argmin(1)
            picture[:, pixels // width, pixels % width] = centres[:, nearest]
        for done in (known, weight):
            done[:, ring // width, ring % width] = 1
    return picture


def _patches(maps: Tensor, centres: Tensor) -> Tensor:
    """The patches (N, C * PATCH^2) of maps (C, H, W) round pixels (N,), counted row by row; 0 beyond the border."""
    edge, width = PATCH // 2, maps.shape[2]
    padded = F.pad(maps, (edge,) * 4)
    offsets = torch.arange(PATCH, device=maps.device)
    rows = (centres // width)[:, None, None] + offsets[:, None]
    columns = (centres % width)[:, None, None] + offsets
    return padded[:, rows, columns].permute(1, 0, 2, 3).flatten(1)
