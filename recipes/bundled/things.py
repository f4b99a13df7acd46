"""The world's things. Each gives pairs (signed distance (B,H,W), colour (B,3)), painted back to front."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from recipes.bundled import fields as f
from recipes.bundled.frame import Frame
from recipes.bundled.shapes import Parts


def _ink(p: Frame, red: float, green: float, blue: float) -> Tensor:
    """A fixed colour, for what has only one: pupils, tyres, snow."""
    return torch.tensor([[red, green, blue]], device=p.x.device, dtype=p.a.dtype).expand(p.a.shape[0], 3)


def eye(p: Frame) -> Parts:
    opening = 0.62 + 0.2 * p.shape[0]
    lens = f.both(f.circle(p.x, p.y, 0, opening, 1.2), f.circle(p.x, p.y, 0, -opening, 1.2))
    ix, iy = 0.3 * (p.shape[1] - 0.5), 0.12 * (p.shape[2] - 0.5)
    iris, pupil = f.circle(p.x, p.y, ix, iy, 0.36), f.circle(p.x, p.y, ix, iy, 0.17)
    return [
        (lens - 0.09, p.c * 0.35),
        (lens, _ink(p, 0.96, 0.95, 0.92)),
        (f.both(lens, iris), p.a),
        (f.both(lens, f.both(iris, -iris - 0.06)), p.a * 0.6),
        (f.both(lens, pupil), _ink(p, 0.04, 0.03, 0.05)),
        (f.both(lens, f.circle(p.x, p.y, ix - 0.12, iy - 0.12, 0.075)), _ink(p, 1, 1, 1)),
    ]


def face(p: Frame) -> Parts:
    x = p.x.abs()
    mood = 0.35 * p.shape[0]
    mouth = f.both(f.circle(p.x, p.y, 0, 0.05, 0.52).abs() - 0.06, 0.12 + mood - p.y)
    dark = _ink(p, 0.12, 0.08, 0.07)
    return [
        (f.circle(p.x, p.y, 0, 0, 0.95), p.a),
        (f.ellipse(x, p.y, 0.34, -0.27, 0.12, 0.18), dark),
        (f.circle(x, p.y, 0.31, -0.33, 0.045), _ink(p, 1, 1, 1)),
        (mouth, dark),
        (f.circle(x, p.y, 0.58, 0.14, 0.12), p.a * _ink(p, 1.0, 0.72, 0.68)),
    ]


def cat(p: Frame) -> Parts:
    x = p.x.abs()
    ear = f.convex(x, p.y, [(0.22, -0.55), (0.78, -1.0), (0.84, -0.1)])
    inner = f.convex(x, p.y, [(0.42, -0.56), (0.7, -0.8), (0.73, -0.35)])
    whisker = f.union(*(f.segment(x, p.y, 0.3, 0.28 + 0.06 * k, 1.0, 0.2 + 0.2 * k, 0.02) for k in (0, 1)))
    slit = 0.035 + 0.05 * p.shape[0]
    dark = _ink(p, 0.1, 0.07, 0.07)
    return [
        (f.union(f.ellipse(p.x, p.y, 0, 0.12, 0.86, 0.74), ear), p.a),
        (inner, p.a * _ink(p, 0.95, 0.6, 0.6)),
        (f.ellipse(x, p.y, 0.36, -0.02, 0.19, 0.16), p.c),
        (f.ellipse(x, p.y, 0.36, -0.02, 0.06, 0.15) - slit * 0.3, dark),
        (f.convex(p.x, p.y, [(-0.11, 0.24), (0.11, 0.24), (0, 0.37)]), _ink(p, 0.85, 0.4, 0.42)),
        (f.both(f.circle(x, p.y, 0.13, 0.38, 0.13).abs() - 0.025, 0.38 - p.y), dark),
        (whisker, dark),
    ]


def flower(p: Frame) -> Parts:
    count = 5 + torch.floor(p.shape[0] * 3)
    step = 2 * math.pi / count
    angle = torch.atan2(p.x, -p.y)
    angle = angle - step * torch.round(angle / step)
    r = f.length(p.x, p.y)
    px, py = r * torch.cos(angle), r * torch.sin(angle)
    petal = f.ellipse(px, py, 0.58, 0, 0.4, 0.27)
    return [
        (petal, p.a),
        (f.both(petal + 0.03, py.abs() - 0.03), p.a * 0.7),
        (f.circle(p.x, p.y, 0, 0, 0.26), p.c),
        (f.circle(p.x, p.y, 0, 0, 0.13), p.c * 0.6),
    ]


def leaf(p: Frame) -> Parts:
    bow = 0.6 + 0.25 * p.shape[0]
    blade = f.both(f.circle(p.x, p.y, bow, -0.1, 0.42 + bow), f.circle(p.x, p.y, -bow, -0.1, 0.42 + bow))
    side = f.both(f.bands(p.y + 0.75 * p.x.abs() + 0.05, 0.24, 0.035), blade + 0.05)
    return [
        (f.segment(p.x, p.y, 0, 0.5, 0, 1.0, 0.045), p.a * 0.55),
        (blade, p.a),
        (side, p.a * 0.6),
        (f.segment(p.x, p.y, 0, -0.8, 0, 0.75, 0.03), p.a * 0.5),
    ]


def tree(p: Frame) -> Parts:
    lean = 0.3 * (p.shape[0] - 0.5)
    wobble = 0.16 * (p.noise(p.x, p.y, octaves=1, base=26) - 0.5)
    crown = f.union(
        f.circle(p.x, p.y, lean, -0.5, 0.46), f.circle(p.x, p.y, -0.38, -0.12, 0.4), f.circle(p.x, p.y, 0.4, -0.1, 0.38)
    )
    trunk = f.convex(p.x, p.y, [(-0.09, 0.0), (0.09, 0.0), (0.18, 0.98), (-0.18, 0.98)])
    shade = f.union(f.circle(p.x, p.y, lean - 0.1, -0.6, 0.26), f.circle(p.x, p.y, -0.45, -0.2, 0.2))
    return [(trunk, _ink(p, 0.42, 0.28, 0.17)), (crown + wobble, p.a), (shade + wobble, p.a * 1.25)]


def pine(p: Frame) -> Parts:
    parts: Parts = [(f.box(p.x, p.y, 0, 0.82, 0.1, 0.18), _ink(p, 0.4, 0.26, 0.16))]
    for tone, wide, low in ((0.7, 0.66, 0.72), (0.9, 0.54, 0.3), (1.1, 0.4, -0.1)):
        parts.append((f.convex(p.x, p.y, [(-wide, low), (0.0, low - 0.72), (wide, low)]), p.a * tone))
    return parts


def mushroom(p: Frame) -> Parts:
    wide = 0.15 + 0.08 * p.shape[0]
    stem = f.union(f.box(p.x, p.y, 0, 0.45, 0.17, 0.45, 0.08) - (wide - 0.17), f.ellipse(p.x, p.y, 0, 0.82, 0.3, 0.16))
    cap = f.both(f.ellipse(p.x, p.y, 0, 0.1, 0.92, 0.98), p.y - 0.12)
    spots = f.union(
        f.circle(p.x, p.y, -0.4, -0.2, 0.14),
        f.circle(p.x, p.y, 0.05, -0.5, 0.16),
        f.circle(p.x, p.y, 0.45, -0.15, 0.12),
        f.circle(p.x, p.y, 0.02, -0.05, 0.09),
    )
    cream = _ink(p, 0.95, 0.9, 0.8)
    return [
        (stem, cream),
        (f.both(stem, p.y - 0.26), cream * 0.72),
        (cap, p.a),
        (f.both(cap, spots), _ink(p, 1, 0.98, 0.94)),
    ]


def house(p: Frame) -> Parts:
    x, y = p.x, p.y + 0.08
    peak = -0.95 + 0.25 * p.shape[0]
    roof = f.both(y + 0.06, 0.68 * x.abs() - 0.74 * (y - peak))
    panes = f.box(x.abs(), y, 0.37, 0.3, 0.15, 0.17)
    bars = f.union((x.abs() - 0.37).abs(), (y - 0.3).abs()) - 0.018
    return [
        (f.box(x, y, 0.42, -0.6, 0.1, 0.3), p.a * 0.6),
        (f.box(x, y, 0, 0.45, 0.66, 0.55), p.b),
        (roof, p.a),
        (panes - 0.04, p.a * 0.5),
        (panes, _ink(p, 0.7, 0.87, 0.97)),
        (f.both(panes, bars), p.a * 0.5),
        (f.box(x, y, 0, 0.7, 0.14, 0.3, 0.03), p.c * 0.6),
    ]


def fish(p: Frame) -> Parts:
    body = f.both(f.circle(p.x, p.y, 0.1, 0.62, 1.02), f.circle(p.x, p.y, 0.1, -0.62, 1.02))
    tail = f.convex(p.x, p.y, [(-0.98, -0.46), (-0.45, 0.0), (-0.98, 0.46)])
    tail = f.cut(tail, f.circle(p.x, p.y, -1.12, 0, 0.3))
    fin = f.convex(p.x, p.y, [(-0.2, -0.3), (0.0, -0.66), (0.35, -0.3)])
    mark = f.both(body + 0.02, f.bands(p.x + 0.1, 0.36, 0.12 + 0.05 * p.shape[0]))
    return [
        (f.union(tail, fin), p.a * 0.7),
        (body, p.a),
        (f.both(mark, p.x - 0.3), p.c),
        (f.circle(p.x, p.y, 0.58, -0.08, 0.12), _ink(p, 1, 1, 1)),
        (f.circle(p.x, p.y, 0.61, -0.08, 0.06), _ink(p, 0.05, 0.05, 0.08)),
        (f.both(f.circle(p.x, p.y, 0.95, 0, 0.55).abs() - 0.02, body + 0.06), p.a * 0.55),
    ]


def butterfly(p: Frame) -> Parts:
    x = p.x.abs()
    upper = f.ellipse(x, p.y, 0.5, -0.32, 0.52, 0.36, -38)
    lower = f.ellipse(x, p.y, 0.4, 0.38, 0.4, 0.27, 40)
    wings = f.union(upper, lower)
    dark = _ink(p, 0.1, 0.07, 0.06)
    return [
        (wings, p.a * 0.3),
        (wings + 0.075, p.a),
        (f.union(f.circle(x, p.y, 0.6, -0.42, 0.12 + 0.05 * p.shape[0]), f.circle(x, p.y, 0.45, 0.4, 0.11)), p.c),
        (f.ellipse(p.x, p.y, 0, 0.02, 0.085, 0.52), dark),
        (f.segment(x, p.y, 0.02, -0.45, 0.25, -0.9, 0.025), dark),
    ]


def ladybird(p: Frame) -> Parts:
    x = p.x.abs()
    shell = f.ellipse(p.x, p.y, 0, 0.12, 0.74, 0.8)
    dark = _ink(p, 0.08, 0.06, 0.07)
    size = 0.12 + 0.05 * p.shape[0]
    spots = f.union(
        f.circle(x, p.y, 0.33, -0.18, size), f.circle(x, p.y, 0.44, 0.22, size), f.circle(x, p.y, 0.26, 0.55, size)
    )
    legs = f.union(*(f.segment(x, p.y, 0.5, 0.1 + 0.32 * k, 0.98, 0.02 + 0.45 * k, 0.035) for k in (-1, 0, 1)))
    return [
        (f.union(legs, f.circle(p.x, p.y, 0, -0.68, 0.33)), dark),
        (f.segment(x, p.y, 0.12, -0.85, 0.32, -1.03, 0.03), dark),
        (shell, p.a),
        (f.both(shell + 0.02, spots), dark),
        (f.both(shell, p.x.abs() - 0.03), dark),
        (f.circle(x, p.y, 0.16, -0.78, 0.06), _ink(p, 1, 1, 1)),
    ]


def umbrella(p: Frame) -> Parts:
    dome = f.both(f.circle(p.x, p.y, 0, 0, 0.95), p.y)
    scallop = f.circle(f.nearest(p.x - 0.2375, 0.475), p.y, 0, 0.1, 0.255)
    panels = f.ellipse(p.x, p.y, 0, 0.0, 0.24, 0.95)
    wide = f.ellipse(p.x, p.y, 0, 0.0, 0.66, 0.95)
    canopy = f.cut(dome, scallop)
    hook = f.both(f.circle(p.x, p.y, 0.15, 0.75, 0.15).abs() - 0.045, 0.75 - p.y)
    return [
        (f.union(f.segment(p.x, p.y, 0, -1.0, 0, 0.75, 0.04), hook), _ink(p, 0.3, 0.2, 0.14)),
        (canopy, p.a),
        (f.both(canopy, f.cut(wide, panels)), p.c),
    ]


def car(p: Frame) -> Parts:
    body = f.box(p.x, p.y, 0, 0.2, 0.98, 0.25, 0.12)
    cabin = f.convex(p.x, p.y, [(-0.42, -0.45), (0.22, -0.45), (0.58, 0.05), (-0.68, 0.05)])
    glass = f.convex(p.x, p.y, [(-0.38, -0.35), (0.18, -0.35), (0.44, -0.02), (-0.55, -0.02)])
    x = p.x.abs()
    return [
        (f.union(body, cabin), p.a),
        (f.cut(glass, (p.x + 0.08).abs() - 0.04), _ink(p, 0.72, 0.86, 0.94)),
        (f.box(p.x, p.y, 0.91, 0.14, 0.07, 0.07, 0.02), _ink(p, 1, 0.92, 0.6)),
        (f.circle(x, p.y, 0.55, 0.45, 0.24), _ink(p, 0.09, 0.09, 0.1)),
        (f.circle(x, p.y, 0.55, 0.45, 0.11), _ink(p, 0.75, 0.76, 0.78)),
    ]


def boat(p: Frame) -> Parts:
    hull = f.convex(p.x, p.y, [(-0.9, 0.42), (0.95, 0.42), (0.6, 0.88), (-0.6, 0.88)])
    main = f.convex(p.x, p.y, [(0.06, -0.95), (0.75, 0.3), (0.06, 0.3)])
    jib = f.convex(p.x, p.y, [(-0.06, -0.7), (-0.06, 0.3), (-0.62, 0.3)])
    return [
        (f.segment(p.x, p.y, 0, -0.98, 0, 0.5, 0.035), _ink(p, 0.35, 0.24, 0.15)),
        (main, p.b),
        (f.both(main, f.bands(p.y, 0.4, 0.12)), p.c),
        (jib, p.b * 0.85),
        (hull, p.a),
        (f.both(hull, (p.y - 0.53).abs() - 0.04), p.b),
    ]


def rocket(p: Frame) -> Parts:
    x = p.x.abs()
    body = f.both(f.circle(x, p.y, -0.62, 0.0, 0.95), p.y - 0.55)
    fin = f.convex(x, p.y, [(0.2, 0.1), (0.6, 0.5), (0.6, 0.82), (0.18, 0.55)])
    flame = f.ellipse(p.x, p.y, 0, 0.62, 0.17, 0.28)
    return [
        (flame, _ink(p, 1, 0.6, 0.1)),
        (f.ellipse(p.x, p.y, 0, 0.58, 0.09, 0.18), _ink(p, 1, 0.92, 0.45)),
        (fin, p.a),
        (body, _ink(p, 0.93, 0.93, 0.95)),
        (f.both(body, p.y + 0.36), p.a),
        (f.circle(p.x, p.y, 0, -0.08, 0.17), p.a * 0.5),
        (f.circle(p.x, p.y, 0, -0.08, 0.115), _ink(p, 0.6, 0.85, 0.97)),
    ]


def clock(p: Frame) -> Parts:
    dial = f.circle(p.x, p.y, 0, 0, 0.78)
    angle, r = torch.atan2(p.y, p.x), f.length(p.x, p.y)
    step = math.pi / 6
    turned = f.nearest(angle, step)
    ticks = f.box(r * torch.cos(turned), r * torch.sin(turned), 0.65, 0, 0.075, 0.03)
    dark = _ink(p, 0.1, 0.09, 0.1)
    hands = []
    for number, size, pen in ((p.shape[0], 0.36, 0.055), (p.shape[1], 0.52, 0.04)):
        at = number * 2 * math.pi
        hands.append(f.segment(p.x, p.y, 0.0, 0.0, size * torch.sin(at), -size * torch.cos(at), pen))
    return [
        (f.circle(p.x, p.y, 0, 0, 0.95), p.a),
        (dial, _ink(p, 0.96, 0.95, 0.9)),
        (ticks, dark),
        (f.union(*hands), dark),
        (r - 0.08, p.c * 0.7),
    ]


def key(p: Frame) -> Parts:
    bow = f.circle(p.x, p.y, -0.6, 0, 0.36)
    shaft = f.box(p.x, p.y, 0.3, 0, 0.66, 0.085, 0.03)
    teeth = f.union(f.box(p.x, p.y, 0.86, 0.16, 0.08, 0.22, 0.02), f.box(p.x, p.y, 0.58, 0.14, 0.07, 0.17, 0.02))
    return [(f.cut(f.union(bow, shaft, teeth), f.circle(p.x, p.y, -0.6, 0, 0.18)), p.a)]


def snowman(p: Frame) -> Parts:
    snow, dark = _ink(p, 0.95, 0.97, 1.0), _ink(p, 0.1, 0.1, 0.13)
    low, mid, head = (f.circle(p.x, p.y, 0, y, radius) for y, radius in ((0.56, 0.44), (-0.02, 0.32), (-0.45, 0.24)))
    arm = f.segment(p.x.abs(), p.y, 0.25, -0.05, 0.75, -0.3, 0.03)
    return [
        (arm, _ink(p, 0.36, 0.24, 0.15)),
        (low, snow),
        (mid, snow * 0.97),
        (head, snow),
        (f.union(f.box(p.x, p.y, 0, -0.82, 0.18, 0.17), f.box(p.x, p.y, 0, -0.65, 0.3, 0.045)), dark),
        (f.box(p.x, p.y, 0, -0.24, 0.24, 0.06, 0.05), p.a),
        (f.circle(p.x.abs(), p.y, 0.09, -0.5, 0.035), dark),
        (f.convex(p.x, p.y, [(0, -0.47), (0.26, -0.41), (0, -0.37)]), _ink(p, 1, 0.5, 0.12)),
        (f.circle(p.x, f.nearest(p.y - 0.03, 0.16), 0, 0, 0.035) + 9 * ((p.y - 0.03).abs() > 0.2), dark),
    ]


THINGS: dict[str, Callable[[Frame], Parts]] = {
    function.__name__: function
    for function in (
        eye, face, cat, flower, leaf, tree, pine, mushroom, house, fish, butterfly,
        ladybird, umbrella, car, boat, rocket, clock, key, snowman,
    )
}  # fmt: skip
