"""Textures: layers of ink, back to front, that fill the complete image.

A texture takes a `Frame` and returns pairs (alpha (B,H,W) in [0, 1], colour (B,3)); the paper below is colour `b`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tools.bundled import fields as f
from tools.bundled.frame import Frame

Layers = list[tuple[Tensor, Tensor]]
SQRT3 = math.sqrt(3)


def stripes(p: Frame) -> Layers:
    return [(p.ink(f.bands(p.x, 0.44, 0.18 + 0.1 * p.shape[0])), p.a)]


def zigzag(p: Frame) -> Layers:
    y = p.y + f.nearest(p.x, 0.56).abs() * (0.9 + 0.5 * p.shape[0])
    return [(p.ink(f.bands(y, 0.44, 0.22) * 0.65), p.a)]


def waves(p: Frame) -> Layers:
    y = p.y + (0.09 + 0.05 * p.shape[0]) * torch.sin(p.x * (2 * math.pi / 0.8))
    return [(p.ink(f.bands(y, 0.4, 0.2) * 0.75), p.a), (p.ink(f.bands(y, 0.4, 0.05) * 0.75), p.c)]


def checks(p: Frame) -> Layers:
    return [(p.ink(f.either(f.bands(p.x, 0.7, 0.35), f.bands(p.y, 0.7, 0.35))), p.a)]


def plaid(p: Frame) -> Layers:
    wide = 0.24 + 0.1 * p.shape[0]
    layers = [(p.ink(f.bands(axis, 0.66, wide)) * 0.55, p.a) for axis in (p.x, p.y)]
    layers += [(p.ink(f.bands(axis + 0.33, 0.66, 0.05)) * 0.8, p.c) for axis in (p.x, p.y)]
    return layers


def dots(p: Frame) -> Layers:
    size, radius = 0.46, 0.11 + 0.05 * p.shape[0]
    one = f.length(f.nearest(p.x, size), f.nearest(p.y, size * SQRT3))
    two = f.length(f.nearest(p.x + size / 2, size), f.nearest(p.y + size * SQRT3 / 2, size * SQRT3))
    return [(p.ink(f.union(one, two) - radius), p.a)]


def rings(p: Frame) -> Layers:
    return [(p.ink(f.bands(f.length(p.x, p.y), 0.36, 0.15 + 0.07 * p.shape[0])), p.a)]


def rays(p: Frame) -> Layers:
    count = 7 + torch.floor(p.shape[0] * 3)
    r, angle = f.length(p.x, p.y), torch.atan2(p.y, p.x)
    turn = angle * count / (2 * math.pi)
    d = ((turn - torch.round(turn)).abs() - 0.25) * r * (2 * math.pi) / count
    return [(p.ink(d), p.a), (p.ink(r - 0.13), p.c)]


def bricks(p: Frame) -> Layers:
    wide, high = 0.62, 0.29
    row = torch.floor(p.y / high)
    x = p.x + 0.5 * wide * (row % 2)
    d = 0.022 - torch.minimum(wide / 2 - (x % wide - wide / 2).abs(), high / 2 - (p.y % high - high / 2).abs())
    tone = f.scatter(torch.floor(x / wide), row, p.seed)
    brick = p.ink(d)
    return [(brick, p.a), (brick * 0.35 * tone, p.a * 0.45)]


def hexagons(p: Frame) -> Layers:
    size = 0.5
    ax, ay = f.nearest(p.x, size), f.nearest(p.y, size * SQRT3)
    bx, by = f.nearest(p.x + size / 2, size), f.nearest(p.y + size * SQRT3 / 2, size * SQRT3)
    closer = ax * ax + ay * ay < bx * bx + by * by
    x, y = torch.where(closer, ax, bx).abs(), torch.where(closer, ay, by).abs()
    d = torch.maximum(x, 0.5 * x + SQRT3 / 2 * y) - size / 2
    return [(p.ink(d + 0.03 + 0.03 * p.shape[0]), p.a), (p.ink(d + 0.14) * 0.3, p.c)]


def triangles(p: Frame) -> Layers:
    slant = [p.y, SQRT3 / 2 * p.x - 0.5 * p.y, -SQRT3 / 2 * p.x - 0.5 * p.y]
    one, two, three = (f.bands(axis - 0.2, 0.8, 0.4) for axis in slant)
    return [(p.ink(f.either(f.either(one, two), three)), p.a)]


def scales(p: Frame) -> Layers:
    wide, high, radius = 0.5, 0.27, 0.3
    row = torch.floor(p.y / high)
    depth = torch.full_like(p.x, 1.0)
    for k in (1, 0, -1):  # upper rows lie over lower ones, so they are written last
        centre = (row + k) * high
        x = f.nearest(p.x + 0.5 * wide * ((row + k) % 2), wide)
        r = f.length(x, p.y - centre) / radius
        depth = torch.where((r < 1) & (p.y > centre - 0.02), r, depth)
    rim = f.smoothstep(0.84, 0.92, depth)
    return [(1 - 0.65 * depth * depth, p.a), (rim, p.b * 0.5)]


def weave(p: Frame) -> Layers:
    size = 0.4
    i, j = torch.floor(p.x / size), torch.floor(p.y / size)
    u, v = p.x / size - i - 0.5, p.y / size - j - 0.5
    lying = (i + j) % 2 < 0.5
    across, along = torch.where(lying, v, u), torch.where(lying, u, v)
    strand = p.ink((across.abs() - 0.39) * size)
    shade = (3.2 * across * across + 1.6 * along * along).clamp(max=1)
    colour = torch.where(lying, 1.0, 0.0) * strand
    return [(strand, p.a), (colour * 0.45, p.c), (strand * shade * 0.55, p.a * 0.25)]


def wood(p: Frame) -> Layers:
    warp = p.noise(p.x * 0.5, p.y * 1.2, octaves=2)
    kx, ky = 0.5 - p.shape[0], 0.4 - 0.8 * p.shape[1]
    knot = 0.75 / (0.25 + 1.1 * (p.x - kx) ** 2 + 9 * (p.y - ky) ** 2)
    rings_ = torch.frac(p.y * 1.5 + 1.3 * warp + knot + 9)
    grain = p.noise(p.x * 0.35, p.y * 2.9, octaves=1, base=44, layer=1)
    line = f.smoothstep(0.3, 0.9, rings_) * (1 - f.smoothstep(0.93, 1.0, rings_))
    return [(1 - 0.85 * line, p.a), (0.5 * f.smoothstep(0.45, 0.95, grain), p.a * 0.4)]


def marble(p: Frame) -> Layers:
    warp = p.noise(p.x, p.y, octaves=4)
    vein = torch.sin(math.pi * (1.1 * p.x + 0.6 * p.y + 2.4 * warp)).abs()
    fine = (p.noise(p.x, p.y, octaves=3, base=9, layer=1) - 0.5).abs()
    return [(torch.exp(-7 * vein), p.a), (0.45 * torch.exp(-28 * fine), p.a), (0.35 * warp.clamp(0, 1), p.a)]


def clouds(p: Frame) -> Layers:
    puff = p.noise(p.x, p.y, octaves=4, base=9)
    white = 1 - 0.1 * (1 - p.c)
    low, high = 0.36, 0.72
    under = p.noise(p.x, p.y - 0.08, octaves=2, base=9)
    return [
        (f.smoothstep(low, high, puff), white),
        (0.45 * f.smoothstep(low, high, puff) * f.smoothstep(0.4, 0.75, under), p.a * 0.7),
    ]


def camouflage(p: Frame) -> Layers:
    one, two, three = (p.noise(p.x, p.y, octaves=2, base=10, layer=k) for k in range(3))
    return [
        (p.ink((0.5 - one) * 0.8), p.a),
        (p.ink((0.6 - two) * 0.8), p.c),
        (p.ink((0.68 - three) * 0.8), p.a * 0.3),
    ]


def cracks(p: Frame) -> Layers:
    wx, wy = (p.noise(p.x, p.y, octaves=3, base=10, layer=k) - 0.5 for k in range(2))
    one, two, name = f.cells(p.x * 1.5 + 0.35 * wx, p.y * 1.5 + 0.35 * wy, p.seed, jitter=0.95)
    line = (two - one - 0.05) / 2.6
    return [(0.2 + 0.25 * name, p.c), (p.ink(line), p.a), (0.3 * torch.exp(-line.clamp(min=0) * 22), p.a)]


def mosaic(p: Frame) -> Layers:
    one, two, name = f.cells(p.x * 1.9, p.y * 1.9, p.seed, jitter=0.75)
    tile = p.ink((0.1 - (two - one)) / 3.4)
    layers: Layers = []
    for k, colour in enumerate((p.a, p.c, 1 - p.a, 0.5 * p.c + 0.5 * p.b.flip(-1))):
        layers.append((tile * (torch.floor(name * 4) == k), colour))
    return [(torch.ones_like(p.x), p.b * 0.25), *layers, (tile * 0.5 * one, p.a * 0.3)]


def leopard(p: Frame) -> Layers:
    warp = p.noise(p.x, p.y, octaves=2, base=16)
    one, _, name = f.cells(p.x * 2.3, p.y * 2.3, p.seed, jitter=0.6)
    r = one + 0.28 * (warp - 0.5)
    gap = p.noise(p.x + name, p.y - name, octaves=1, base=22, layer=2)
    spot = f.both((r - 0.27).abs() - 0.085, (0.33 - gap) * 0.5) / 2.3
    return [(p.ink((r - 0.26) / 2.3) * 0.6, p.c), (p.ink(spot), p.a)]


TEXTURES: dict[str, Callable[[Frame], Layers]] = {
    function.__name__: function
    for function in (
        stripes, zigzag, waves, checks, plaid, dots, rings, rays, bricks, hexagons,
        triangles, scales, weave, wood, marble, clouds, camouflage, cracks, mosaic, leopard,
    )
}  # fmt: skip
