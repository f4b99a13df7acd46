"""Smooth fields over a batch of coordinate grids: signed distances, tilings and noise, from which the images are drawn.

Every function takes coordinates of shape (B, H, W) and gives a field of the same shape. A signed distance is negative
inside a shape, in the units of the coordinates (Quilez, "2D distance functions", iquilezles.org).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

NOISE_EXTENT = 3.0  # noise is defined on [-3, 3] in both coordinates and mirrored beyond


def length(x: Tensor, y: Tensor) -> Tensor:
    return torch.sqrt(x * x + y * y + 1e-9)


def nearest(x: Tensor, period: float) -> Tensor:
    """Signed offset of x to the nearest multiple of `period`, in [-period/2, period/2]."""
    return x - period * torch.round(x / period)


def bands(x: Tensor, period: float, width: Tensor | float) -> Tensor:
    """Distance to bands of the given width, one every `period`."""
    return nearest(x, period).abs() - width / 2


def circle(x: Tensor, y: Tensor, cx: float | Tensor, cy: float | Tensor, radius: float | Tensor) -> Tensor:
    return length(x - cx, y - cy) - radius


def ellipse(
    x: Tensor, y: Tensor, cx: float | Tensor, cy: float | Tensor, rx: float, ry: float, turn: float = 0.0
) -> Tensor:
    """Distance to an ellipse turned by `turn` degrees (exact on its border to first order)."""
    x, y = rotate(x - cx, y - cy, turn) if turn else (x - cx, y - cy)
    k = length(x / rx, y / ry)
    return k * (k - 1) / length(x / rx**2, y / ry**2)


def rotate(x: Tensor, y: Tensor, degrees: float | Tensor) -> tuple[Tensor, Tensor]:
    """The coordinates in a frame rotated by `degrees`, clockwise on the screen (y points down)."""
    angle = torch.as_tensor(degrees, device=x.device, dtype=x.dtype) * (math.pi / 180)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def box(x: Tensor, y: Tensor, cx: float, cy: float, hx: float, hy: float, round_by: float = 0.0) -> Tensor:
    """Distance to an axis-aligned box of half-sizes (hx, hy), corners rounded."""
    qx, qy = (x - cx).abs() - (hx - round_by), (y - cy).abs() - (hy - round_by)
    return length(qx.clamp(min=0), qy.clamp(min=0)) + torch.maximum(qx, qy).clamp(max=0) - round_by


def segment(
    x: Tensor,
    y: Tensor,
    ax: float | Tensor,
    ay: float | Tensor,
    bx: float | Tensor,
    by: float | Tensor,
    radius: float,
) -> Tensor:
    """Distance to a line from a to b, drawn with a round pen."""
    dx, dy = bx - ax, by - ay
    px, py = x - ax, y - ay
    t = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0, 1)
    return length(px - t * dx, py - t * dy) - radius


def convex(x: Tensor, y: Tensor, corners: list[tuple[float, float]]) -> Tensor:
    """Distance to a convex polygon, corners in either order: the largest of its half-planes."""
    pairs = list(zip(corners, corners[1:] + corners[:1], strict=True))
    clockwise = sum((bx - ax) * (by + ay) for (ax, ay), (bx, by) in pairs) < 0
    field = torch.full_like(x, -9.0)
    for (ax, ay), (bx, by) in pairs:
        size = math.hypot(bx - ax, by - ay) * (1 if clockwise else -1)
        field = torch.maximum(field, ((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / size)
    return field


def regular(x: Tensor, y: Tensor, sides: int, radius: float) -> Tensor:
    """Distance to a regular polygon with its first corner on top."""
    step = 2 * math.pi / sides
    angle = nearest(torch.atan2(x, -y) - step / 2, step)
    return length(x, y) * torch.cos(angle) - radius * math.cos(step / 2)


def star(x: Tensor, y: Tensor, points: int, outer: float, inner: float | Tensor) -> Tensor:
    """Distance to a star with its first point on top."""
    step = math.pi / points
    angle, r = nearest(torch.atan2(x, -y), 2 * step).abs(), length(x, y)
    px, py = r * torch.cos(angle), r * torch.sin(angle)
    ex, ey = inner * math.cos(step) - outer, inner * math.sin(step)
    return ((px - outer) * ey - py * ex) / (ex**2 + ey**2) ** 0.5


def union(*fields: Tensor) -> Tensor:
    field = fields[0]
    for other in fields[1:]:
        field = torch.minimum(field, other)
    return field


def cut(field: Tensor, hole: Tensor) -> Tensor:
    return torch.maximum(field, -hole)


def both(a: Tensor, b: Tensor) -> Tensor:
    return torch.maximum(a, b)


def either(a: Tensor, b: Tensor) -> Tensor:
    """Inside exactly one of two shapes."""
    return torch.maximum(torch.minimum(a, b), -torch.maximum(a, b))


def smoothstep(low: float, high: float, x: Tensor) -> Tensor:
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def scatter(i: Tensor, j: Tensor, seed: Tensor | float) -> Tensor:
    """A pseudo-random number in [0, 1) for every pair of integers and seed: the usual sine hash, in float64."""
    return torch.frac(torch.sin(i.double() * 12.9898 + j.double() * 78.233 + seed * 37.719).abs() * 43758.5453).float()


def _lattice(n: int, seed: Tensor, layer: int) -> Tensor:
    steps = torch.arange(n, device=seed.device)
    return scatter(steps[None, :, None] + 101 * layer, steps[None, None, :], seed.reshape(-1, 1, 1).double())


def noise(x: Tensor, y: Tensor, seed: Tensor, octaves: int = 3, base: int = 7, layer: int = 0) -> Tensor:
    """Smooth noise about .5, mostly in [0, 1], with detail of `octaves` sizes (Perlin 1985, summed as fractal noise).

    `seed` is (B, 1, 1); equal seeds give equal fields. The coarsest bumps are 6 / base units wide.
    """
    field = torch.zeros((), device=x.device)
    total, fine = 0.0, base * 2 ** (octaves - 1)
    for octave in range(octaves):
        coarse = _lattice(base * 2**octave, seed, layer * 7 + octave)[:, None]
        weight = 0.5**octave
        field = field + weight * F.interpolate(coarse, size=(3 * fine, 3 * fine), mode="bicubic", align_corners=False)
        total += weight
    grid = torch.stack([x, y], -1) / NOISE_EXTENT
    sampled = F.grid_sample(
        field.expand(x.shape[0], -1, -1, -1), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return (sampled[:, 0] / total - 0.5) * 1.7 + 0.5


def cells(x: Tensor, y: Tensor, seed: Tensor, jitter: float = 0.8) -> tuple[Tensor, Tensor, Tensor]:
    """Worley's cells (1996) of unit size: distance to the nearest point and the second, and a name in [0, 1)."""
    n = 24
    i, j = torch.floor(x), torch.floor(y)
    points = torch.stack([_lattice(n, seed, 40), _lattice(n, seed, 41), _lattice(n, seed, 42)])
    points = points.expand(3, x.shape[0], n, n).flatten(2)
    first = torch.full_like(x, 9.0)
    second = torch.full_like(x, 9.0)
    name = torch.zeros_like(x)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            index = (((i + di) % n) * n + (j + dj) % n).long().flatten(1)
            px, py, tag = (p.gather(1, index).view_as(x) for p in points)
            d = length(i + di + 0.5 + jitter * (px - 0.5) - x, j + dj + 0.5 + jitter * (py - 0.5) - y)
            closer = d < first
            second = torch.minimum(second, torch.maximum(d, first))
            name = torch.where(closer, tag, name)
            first = torch.minimum(first, d)
    return first, second, name
