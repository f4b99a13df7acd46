"""The arithmetic of DeepDream: normalised gradient steps on a picture of any size, octave by octave."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model, Settings
from inverter.capture import Capture
from inverter.settings import Precision
from inverter_errors import BadInput
from objectives import Activations, Objective
from recipes.deepdream.tiles import by_tiles, shortest

START = 128
"""Unless told otherwise, the first octave is the smallest whose short side has so many pixels: there the dream finds
its large forms, whatever the size of the photo."""
SMALLEST = 48
"""Octaves whose short side has fewer pixels are left out: a network sees nothing in them."""
LEVELS = 4
"""How often the gradient is halved in size to find its coarse part."""

NEAREST = 1024
"""So many places of a layer look for their nearest in the guide at once."""

# The symmetric square root of the covariance of colours in photographs (Lucid's matrix, Olah et al. 2017), its mean
# diagonal 1. The covariance itself would make dreams grey; none of it leaves them the burnt colours of raw gradients.
COLORS = torch.tensor([[1.016, 0.615, 0.455], [0.615, 0.914, 0.624], [0.455, 0.624, 1.070]])


def dream(
    model: Model,
    image: Tensor,
    parts: Sequence[tuple[Objective, float]],
    octaves: int | None = None,
    octave_scale: float = 1.4,
    steps: int = 10,
    rate: float = 0.008,
    tile: int = 512,
    generator: torch.Generator | None = None,
    precision: Precision = "auto",
    on_progress: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """What a network sees in a picture, amplified (Mordvintsev et al. 2015, "Inceptionism").

    From the smallest octave to the picture's own size, `steps` times x <- x + rate g / std(g) with

        g = natural(gradient of sum_i w_i f_i(x) / s_i)

    f_i the parts and s_i the standard deviation of f_i's own g as the octave begins: a weight is a share of the step,
    whatever the scales of the layers. What an octave has added is carried to the next. g is computed tile by tile, cut
    elsewhere in each step, so that no seam stays, and never more than one tile's activations are in memory. Around the
    picture lies its mirror image, so that no edge appears that could be dreamt on.

    Args:
        image: (1, 3, H, W) in [0, 1], any size.
        parts: objectives with one target each, and their weights.
        octaves: how many sizes, each `octave_scale` > 1 times the one before; None as many as have `START` pixels.
        rate: step in pixel values.
        tile: largest side of a tile in pixels.
        generator: of the random cuts (CPU).
        told: called with the picture (1, 3, h, w) after every step, at the size of the octave. It is worked on in
            place afterwards: copy what is to be kept.

    Returns:
        (1, 3, H, W) in [0, 1], on the model's device.

    Raises:
        BadInput: if the network cannot process the smallest tile, or the picture has no gradient at all.

    Example:
        >>> from objectives import layer
        >>> net, image = Model(torch.nn.Conv2d(3, 4, 3)), torch.rand(1, 3, 60, 90)
        >>> dream(net, image, [(layer(""), 1.0)], octaves=2, steps=1, tile=50).shape
        torch.Size([1, 3, 60, 90])
    """
    generator = generator or torch.Generator("cpu").manual_seed(0)
    image = image.to(model.device)
    sizes = octave_sizes((image.shape[2], image.shape[3]), octaves, octave_scale)
    height, width = (min(shortest(side, tile) for side in sides) for sides in zip(*sizes, strict=True))
    reads = tuple(dict.fromkeys(address for part, _ in parts for address in part.reads))
    model.shapes(reads, (height, width))
    autocast = Settings(precision=precision).autocast
    picture, moved = resized(image, sizes[0]), False

    def climb(objective: Objective) -> Tensor:
        def of_tile(shown: Tensor) -> Tensor:
            with autocast(model.device):
                return natural(_gradient(model, capture, objective, shown))

        return by_tiles(picture, of_tile, tile, generator)

    with model.capture(reads) as capture:
        for size in sizes:
            picture = carried(picture, image, size)
            objective = balanced(parts, lambda part: float(climb(part).std()))
            spreads = []
            for _ in range(steps):
                step = climb(objective)
                spreads.append(step.std())
                picture.add_(step.mul_(torch.where(spreads[-1] > 0, rate / spreads[-1], 0))).clamp_(0, 1)
                del step  # before the next octave's pictures are made
                if on_progress is not None:
                    on_progress(picture)
            # Asked after every step, the host would wait for a GPU as often, and the GPU for the next step.
            most = float(torch.stack(spreads).max()) if spreads else 0.0
            if not math.isfinite(most):
                raise BadInput(f"{objective.name} has a gradient that is not finite: use precision float32")
            moved = moved or most > 0
    if not moved:
        raise BadInput(
            f"{objective.name} sees nothing in this picture: its gradient is zero; choose another channel or layer"
        )
    return picture


def balanced(parts: Sequence[tuple[Objective, float]], scale: Callable[[Objective], float]) -> Objective:
    """sum_i w_i f_i / s_i with s_i = `scale(f_i)`. A part of scale 0 counts for nothing; a single one needs none.

    Example:
        >>> from objectives import layer
        >>> balanced([(layer("a"), 1.0), (layer("b"), 0.5)], lambda part: 4.0).name
        '(0.25*layer(a) + 0.125*layer(b))'
    """
    if len(parts) == 1:
        return parts[0][0] * parts[0][1]
    scaled = [part * (weight / found if (found := scale(part)) else 0.0) for part, weight in parts]
    return sum(scaled[1:], scaled[0])


def _gradient(model: Model, capture: Capture, objective: Objective, part: Tensor) -> Tensor:
    with torch.enable_grad():
        shown = part.detach().requires_grad_()
        score = objective.score(Activations(capture(model.normalize(shown)), shown)).sum()
    return torch.autograd.grad(score, shown)[0]


def natural(gradient: Tensor) -> Tensor:
    """A gradient (1, 3, H, W) nearer to what photographs are made of: coarse before fine, bright before colourful.

    The sum of its Gaussian pyramid, after the Laplacian pyramid of the original's notebook, and half of the way to
    decorrelated colours (Olah et al. 2017, preconditioning). Both have positive gains only: it goes on upward.
    """
    pyramid = [gradient]
    while len(pyramid) <= LEVELS and min(pyramid[-1].shape[2:]) >= 8:
        pyramid.append(F.avg_pool2d(pyramid[-1], 2, ceil_mode=True, count_include_pad=False))
    total = pyramid.pop()
    while pyramid:
        finer = pyramid.pop()
        total = finer + F.interpolate(total, finer.shape[2:], mode="bilinear", align_corners=False)
    return (COLORS.to(total) @ total.flatten(2)).view(total.shape)


def octave_sizes(size: tuple[int, int], octaves: int | None, scale: float) -> list[tuple[int, int]]:
    """The sizes (height, width) of the octaves, smallest first; the last is `size` itself.

    Example:
        >>> octave_sizes((100, 200), 3, 2.0)
        [(50, 100), (100, 200)]
        >>> octave_sizes((300, 400), None, 2.0)
        [(150, 200), (300, 400)]
    """
    least, sizes = SMALLEST if octaves else START, [size]
    while octaves is None or len(sizes) < octaves:
        small = (round(size[0] / scale ** len(sizes)), round(size[1] / scale ** len(sizes)))
        if min(small) < least:
            break
        sizes.append(small)
    return sizes[::-1]


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture or a difference of pictures (1, C, H, W) at another size; itself where it has it already."""
    if image.shape[2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)


def carried(picture: Tensor, image: Tensor, size: tuple[int, int]) -> Tensor:
    """The photo `image` at `size`, and on it what `picture` (1, 3, h, w), a dream, has added to it: a new tensor."""
    small = (picture.shape[2], picture.shape[3])
    if small == size:
        return picture.clone()
    added = picture - resized(image, small)
    return resized(added, size).add_(resized(image, size)).clamp_(0, 1)


def zoomed(image: Tensor, zoom: float) -> Tensor:
    """The middle of a picture (1, 3, H, W), enlarged to its size: `zoom` times nearer, >= 1."""
    height, width = image.shape[2:]
    theta = torch.tensor([[[1 / zoom, 0.0, 0.0], [0.0, 1 / zoom, 0.0]]], device=image.device)
    grid = F.affine_grid(theta, [1, 3, height, width], align_corners=False)
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="reflection", align_corners=False).clamp(0, 1)


def tone_of(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each colour of a picture (1, 3, H, W), each (1, 3, 1, 1)."""
    return image.mean((2, 3), keepdim=True), image.std((2, 3), keepdim=True)


def retoned(image: Tensor, tone: tuple[Tensor, Tensor]) -> Tensor:
    """A picture with another's mean and contrast in each colour, in [0, 1]: else dreams on dreams burn, frame by frame.

    Example:
        >>> image = torch.rand(1, 3, 8, 8)
        >>> torch.allclose(retoned(image, tone_of(image)), image, atol=1e-5)
        True
    """
    (mean, spread), (wanted_mean, wanted_spread) = tone_of(image), tone
    return ((image - mean) * (wanted_spread / spread.clamp_min(1e-6)) + wanted_mean).clamp_(0, 1)


def guided(layer: str, guide: Tensor) -> Objective:
    """Each place of a layer becomes more like that place of a guide that it is most like (Mordvintsev et al. 2015).

    The mean over places i of max_j <x_i, y_j>, y_j the guide's activations.

    Args:
        layer: address of a layer that puts out maps. guide: (1, C, h, w), its activations for the guide picture.

    Example:
        >>> guided("conv", torch.ones(1, 3, 2, 2)).score(Activations({"conv": torch.ones(1, 3, 4, 4)}))
        tensor([3.])
    """
    places = guide.detach().float().flatten(2)[0]  # (C, N)

    def score(seen: Activations) -> Tensor:
        maps = seen[layer].float().flatten(2).transpose(1, 2)  # (B, M, C)
        there = places.to(maps.device)
        with torch.no_grad():  # in slices: all products at once would need more memory than the layer itself
            nearest = torch.cat([(some @ there).argmax(2) for some in maps.split(NEAREST, 1)], 1)
        return (maps * there.T[nearest]).sum(2).mean(1)

    return Objective(f"guided({layer})", (layer,), score)
