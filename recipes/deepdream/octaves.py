"""The DeepDream algorithm: normalised gradient ascent on a picture of any size, octave by octave."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model, Settings
from inverter.ascent.climbed_gates import ClimbedGates
from inverter.settings import Precision
from inverter_errors import BadInput
from objectives import Activations, Objective
from recipes.deepdream.tiles import by_tiles, shortest

START = 128
"""Short side of the first octave in pixels, at least, unless the number of octaves is given: there the dream forms its
large structures, whatever the size of the photo."""
SMALLEST = 48
"""Octaves with a shorter short side, in pixels, are left out: networks recognise no structure in them."""
LEVELS = 4
"""Levels of the Gaussian pyramid of the gradient, apart from the gradient itself."""

# The symmetric square root of the covariance of colours in photographs (Lucid's matrix, Olah et al. 2017), scaled to a
# mean diagonal of 1. The covariance itself would make dreams grey; without it, they are as saturated as raw gradients.
COLORS = torch.tensor([[1.016, 0.615, 0.455], [0.615, 0.914, 0.624], [0.455, 0.624, 1.070]], dtype=torch.float32)


def dream(
    model: Model,
    image: Tensor,
    parts: Sequence[tuple[Objective, float]],
    octaves: int | None = None,
    octave_scale: float = 1.4,
    steps: int = 10,
    step_size: float = 0.008,
    tile: int = 512,
    generator: torch.Generator | None = None,
    precision: Precision = "auto",
    natural_colours: bool = True,
    completed: Callable[[Objective], Objective] | None = None,
    on_progress: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """Amplifies the response of objectives to a picture (Mordvintsev et al. 2015, "Inceptionism").

    From the smallest octave to the picture's own size, `steps` times x <- x + step_size g / std(g), with

        g = precondition(gradient of sum_i w_i f_i(x) / s_i)

    where f_i are the parts and s_i is the standard deviation of f_i's own g at the start of the octave: a weight is a
    share of the step, whatever the scales of the layers. The detail that an octave has added is upsampled to the next.
    g is computed tile by tile, with random tile positions in each step, so that no seams appear, and only one tile's
    activations are in memory at a time. The picture is padded by reflection, so that its border is not amplified.

    Args:
        model: the network under inspection.
        image: (1, C, H, W) in [0, 1], any size.
        parts: objectives with one target each, and their weights.
        octaves: number of sizes; None takes as many as have a short side of at least `START` pixels.
        octave_scale: ratio of successive sizes, > 1.
        steps: gradient steps per octave.
        step_size: in pixel values.
        tile: largest side of a tile in pixels.
        generator: of the random tile positions (CPU); None takes seed 0.
        precision: as in `inverter.Settings`.
        natural_colours: as in `precondition`.
        completed: makes of the weighted sum the objective that is ascended; None: the sum itself.
        on_progress: called with the picture (1, C, h, w) after every step, at the size of the octave. The tensor is
            modified in place afterwards: copy it to keep it.

    Returns:
        (1, C, H, W) in [0, 1], on the model's device.

    Raises:
        BadInput: if the network cannot process the smallest tile, or the gradient is zero or not finite.

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
    complete = completed or (lambda objective: objective)
    reads = complete(balanced(parts, lambda _part: 1.0)).reads
    model.shapes(reads, (height, width))
    autocast = Settings(precision=precision).autocast
    picture, moved = resized(image, sizes[0]), False

    def step_direction(objective: Objective) -> Tensor:
        def of_tile(shown: Tensor) -> Tensor:
            with autocast(model.device, model.dtype), ClimbedGates(bool(model.derived_layers())):
                return precondition(_gradient(model, capture, objective, shown), natural_colours)

        return by_tiles(picture, of_tile, tile, generator)

    with model.capture(reads) as capture:
        for size in sizes:
            picture = add_detail(picture, image, size)
            objective = complete(balanced(parts, lambda part: float(step_direction(part).std())))
            spreads = []
            for _ in range(steps):
                step = step_direction(objective)
                spreads.append(step.std())
                picture.add_(step.mul_(torch.where(spreads[-1] > 0, step_size / spreads[-1], 0))).clamp_(0, 1)
                del step  # frees it before the next octave's pictures are made
                if on_progress is not None:
                    on_progress(picture)
            # Checked once an octave: a check after every step would make the host and the GPU wait for each other.
            most = float(torch.stack(spreads).max()) if spreads else 0.0
            if not math.isfinite(most):
                raise BadInput(f"{objective.name} has a gradient that is not finite: use precision float32")
            moved = moved or most > 0
    if not moved:
        raise BadInput(f"{objective.name} has a gradient of zero for this picture: choose another channel or layer")
    return picture


def balanced(parts: Sequence[tuple[Objective, float]], scale: Callable[[Objective], float]) -> Objective:
    """sum_i w_i f_i / s_i, with s_i = `scale(f_i)`.

    Args:
        parts: objectives f_i, and their weights w_i.
        scale: of an objective; a part of scale 0 is left out. It is not called for a single part, which stays unscaled.

    Returns:
        The weighted sum.

    Example:
        >>> from objectives import layer
        >>> balanced([(layer("a"), 1.0), (layer("b"), 0.5)], lambda part: 4.0).name
        '(0.25*layer(a) + 0.125*layer(b))'
    """
    if len(parts) == 1:
        return parts[0][0] * parts[0][1]
    scaled = [part * (weight / spread if (spread := scale(part)) else 0.0) for part, weight in parts]
    return sum(scaled[1:], scaled[0])


def _gradient(
    model: Model, capture: Callable[[Tensor], dict[str, Tensor]], objective: Objective, part: Tensor
) -> Tensor:
    with torch.enable_grad():
        shown = part.detach().requires_grad_()
        score = objective.score(Activations(capture(model.normalize(shown)), shown)).sum()
    return torch.autograd.grad(score, shown)[0]


def precondition(gradient: Tensor, natural_colours: bool = True) -> Tensor:
    """Amplifies coarse structure and brightness, which dominate in natural images, over fine structure and colour.

    The sum of the gradient's Gaussian pyramid (after the Laplacian pyramid normalisation of the original DeepDream
    notebook); for colours, multiplied by the square root of their covariance (Olah et al. 2017, preconditioning). Both
    have positive gains only, so that the result is still an ascent direction.

    Args:
        gradient: (1, C, H, W).
        natural_colours: False keeps the gradient's own colours, as a guide needs whose colours are to be taken up.

    Returns:
        The direction, (1, C, H, W).
    """
    pyramid = [gradient]
    while len(pyramid) <= LEVELS and min(pyramid[-1].shape[2:]) >= 8:
        pyramid.append(F.avg_pool2d(pyramid[-1], 2, ceil_mode=True, count_include_pad=False))
    total = pyramid.pop()
    while pyramid:
        finer = pyramid.pop()
        total = finer + F.interpolate(total, finer.shape[2:], mode="bilinear", align_corners=False)
    if not natural_colours or total.shape[1] != len(COLORS):  # or channels that are no colours
        return total
    return (COLORS.to(total) @ total.flatten(2)).view(total.shape)


def octave_sizes(size: tuple[int, int], octaves: int | None, scale: float) -> list[tuple[int, int]]:
    """The sizes of the octaves, smallest first.

    Args:
        size: (height, width) of the picture.
        octaves: number of sizes, at most; None takes as many as have a short side of at least `START` pixels.
        scale: ratio of successive sizes, > 1.

    Returns:
        (height, width) of each octave; the last is `size` itself.

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
    """A picture or a difference of pictures (1, C, H, W) at a size (height, width), with antialiasing."""
    if image.shape[2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)


def add_detail(picture: Tensor, image: Tensor, size: tuple[int, int]) -> Tensor:
    """Transfers the detail of a dream to another size.

    Args:
        picture: the dream, (1, C, h, w).
        image: the photo that it was made from, (1, C, H, W).
        size: (height, width) of the result.

    Returns:
        A new tensor: the photo at `size` plus the resized difference between dream and photo, in [0, 1].
    """
    small = (picture.shape[2], picture.shape[3])
    if small == size:
        return picture.clone()
    detail = picture - resized(image, small)
    return resized(detail, size).add_(resized(image, size)).clamp_(0, 1)


def zoomed(image: Tensor, zoom: float) -> Tensor:
    """The centre of a picture (1, C, H, W), magnified by `zoom` >= 1 to its size."""
    height, width = image.shape[2:]
    theta = torch.tensor([[[1 / zoom, 0.0, 0.0], [0.0, 1 / zoom, 0.0]]], dtype=torch.float32, device=image.device)
    grid = F.affine_grid(theta, [1, 3, height, width], align_corners=False)
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="reflection", align_corners=False).clamp(0, 1)


def colour_statistics(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each colour channel of a picture (1, C, H, W), each (1, C, 1, 1)."""
    return image.mean((2, 3), keepdim=True), image.std((2, 3), keepdim=True)


def match_colours(image: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
    """A picture with given colour statistics: otherwise repeated dreams saturate, frame by frame.

    Args:
        image: (1, C, H, W) in [0, 1].
        statistics: of another picture, as `colour_statistics` returns them.

    Returns:
        (1, C, H, W) in [0, 1].

    Example:
        >>> image = torch.rand(1, 3, 8, 8)
        >>> torch.allclose(match_colours(image, colour_statistics(image)), image, atol=1e-5)
        True
    """
    (mean, deviation), (target_mean, target_deviation) = colour_statistics(image), statistics
    return ((image - mean) * (target_deviation / deviation.clamp_min(1e-6)) + target_mean).clamp_(0, 1)
