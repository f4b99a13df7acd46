"""The arithmetic of DeepDream: normalised gradient steps on a picture of any size, tile by tile, octave by octave."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model, Settings
from inverter.capture import Capture
from objectives import Objective, Seen

JITTER = 32
"""Largest shift in pixels of a picture that fits into one tile."""
SMALLEST = 48
"""Octaves whose short side has fewer pixels are left out: a network sees nothing in them."""


def dream(
    model: Model,
    image: Tensor,
    objective: Objective,
    octaves: int = 4,
    octave_scale: float = 1.4,
    steps: int = 10,
    rate: float = 0.01,
    tile: int = 512,
    generator: torch.Generator | None = None,
    precision: str = "auto",
    told: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """What a network sees in a picture, amplified (Mordvintsev et al. 2015, "Inceptionism").

    From the smallest octave to the picture's own size, `steps` times x <- x + rate g / std(g) with g the gradient of
    the objective; what an octave has added is carried to the next. g is computed tile by tile, cut elsewhere in each
    step, so that no seam stays, and never more than one tile's activations are in memory. Around the picture lies its
    mirror image, so that no edge appears that could be dreamt on.

    Args:
        image: (1, 3, H, W) in [0, 1], any size.
        objective: with one target.
        octaves: how many sizes, each `octave_scale` > 1 times the one before. rate: step in pixel values.
        tile: largest side of a tile in pixels.
        generator: of the random cuts (CPU).
        told: called with the picture (1, 3, h, w) after every step, at the size of the octave.

    Returns:
        (1, 3, H, W) in [0, 1], on the model's device.

    Raises:
        ValueError: if the network cannot process the smallest tile.

    Example:
        >>> from objectives import layer
        >>> net = Model(torch.nn.Conv2d(3, 4, 3))
        >>> dream(net, torch.full((1, 3, 60, 90), 0.5), layer(""), octaves=2, steps=1, tile=50).shape
        torch.Size([1, 3, 60, 90])
    """
    generator = generator or torch.Generator().manual_seed(0)
    image = image.to(model.device)
    sizes = octave_sizes((image.shape[2], image.shape[3]), octaves, octave_scale)
    least = [min(smallest(side + _reach(side, tile), tile) for side in sides) for sides in zip(*sizes, strict=True)]
    model.shapes(objective.reads, (least[0], least[1]))
    autocast = Settings(precision=precision).autocast
    found = torch.zeros_like(image)
    picture = image
    with model.looking(objective.reads) as capture:
        for size in sizes:
            base = resized(image, size)
            picture = (base + resized(found, size)).clamp(0, 1)
            for _ in range(steps):
                (top, bottom), (left, right) = (margins(side, tile, generator) for side in size)
                wider = F.pad(picture, (left, right, top, bottom), mode="reflect")
                for rows in cuts(wider.shape[2], tile):
                    for columns in cuts(wider.shape[3], tile):
                        part = wider[:, :, rows, columns]
                        with autocast(model.device):
                            gradient = _gradient(model, capture, objective, part)
                        part += rate * gradient / gradient.std().clamp_min(1e-20)
                picture = wider[:, :, top : top + size[0], left : left + size[1]].clamp(0, 1)
                if told is not None:
                    told(picture)
            found = picture - base
    return picture


def _gradient(model: Model, capture: Capture, objective: Objective, part: Tensor) -> Tensor:
    with torch.enable_grad():
        shown = part.detach().clone().requires_grad_()
        score = objective.score(Seen(capture(model.normalize(shown)), shown)).sum()
    return torch.autograd.grad(score, shown)[0]


def octave_sizes(size: tuple[int, int], octaves: int, scale: float) -> list[tuple[int, int]]:
    """The sizes (height, width) of the octaves, smallest first; the last is `size` itself.

    Example:
        >>> octave_sizes((100, 200), 3, 2.0)
        [(50, 100), (100, 200)]
    """
    sizes = [(round(size[0] / scale**k), round(size[1] / scale**k)) for k in range(octaves)]
    return [size, *(small for small in sizes[1:] if min(small) >= SMALLEST)][::-1]


def cuts(side: int, tile: int) -> Iterator[slice]:
    """A side cut into as few nearly equal pieces as possible, none longer than `tile`.

    Example:
        >>> [(cut.start, cut.stop) for cut in cuts(10, 4)]
        [(0, 3), (3, 6), (6, 10)]
    """
    count = math.ceil(side / tile)
    for i in range(count):
        yield slice(i * side // count, (i + 1) * side // count)


def _reach(side: int, tile: int) -> int:
    """How far the cuts wander: half a tile, or a little where one tile shows all."""
    return min(tile // 2 if side > tile else JITTER, side - 1)


def margins(side: int, tile: int, generator: torch.Generator) -> tuple[int, int]:
    """Pixels to add before and after a side in this step; always as many together."""
    reach = _reach(side, tile)
    before = int(torch.randint(reach + 1, (1,), generator=generator))
    return before, reach - before


def smallest(side: int, tile: int) -> int:
    """The length of the shortest of these pieces."""
    return side // math.ceil(side / tile)


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture or a difference of pictures (1, C, H, W) at another size; itself where it has it already."""
    if image.shape[2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)


def zoomed(image: Tensor, zoom: float) -> Tensor:
    """The middle of a picture (1, 3, H, W), enlarged to its size: `zoom` times nearer, >= 1."""
    height, width = image.shape[2:]
    theta = torch.tensor([[[1 / zoom, 0.0, 0.0], [0.0, 1 / zoom, 0.0]]], device=image.device)
    grid = F.affine_grid(theta, [1, 3, height, width], align_corners=False)
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="reflection", align_corners=False).clamp(0, 1)


def guided(layer: str, guide: Tensor) -> Objective:
    """Each place of a layer becomes more like that place of a guide that it is most like (Mordvintsev et al. 2015).

    The mean over places of max_j <x_i, y_j>, y_j the guide's activations.

    Args:
        layer: address of a layer that puts out maps. guide: (1, C, h, w), its activations for the guide picture.

    Example:
        >>> guided("conv", torch.ones(1, 3, 2, 2)).score(Seen({"conv": torch.ones(1, 3, 4, 4)}))
        tensor([3.])
    """
    places = guide.detach().float().flatten(2)[0]  # (C, N)

    def score(seen: Seen) -> Tensor:
        maps = seen[layer].float().flatten(2).transpose(1, 2)  # (B, M, C)
        return (maps @ places.to(maps.device)).amax(2).mean(1)

    return Objective(f"guided({layer})", (layer,), score)
