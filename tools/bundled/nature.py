"""Living things. Each function returns pairs (signed distance (B,H,W), colour (B,3)), painted back to front."""

from __future__ import annotations

import math

import torch

from tools.bundled import fields as f
from tools.bundled.frame import Frame
from tools.bundled.shapes import Parts


def eye(p: Frame) -> Parts:
    opening = 0.62 + 0.2 * p.shape[0]
    lens = f.both(f.circle(p.x, p.y, 0, opening, 1.2), f.circle(p.x, p.y, 0, -opening, 1.2))
    ix, iy = 0.3 * (p.shape[1] - 0.5), 0.12 * (p.shape[2] - 0.5)
    iris, pupil = f.circle(p.x, p.y, ix, iy, 0.36), f.circle(p.x, p.y, ix, iy, 0.17)
    return [
        (lens - 0.09, p.c * 0.35),
        (lens, p.colour(0.96, 0.95, 0.92)),
        (f.both(lens, iris), p.a),
        (f.both(lens, f.both(iris, -iris - 0.06)), p.a * 0.6),
        (f.both(lens, pupil), p.colour(0.04, 0.03, 0.05)),
        (f.both(lens, f.circle(p.x, p.y, ix - 0.12, iy - 0.12, 0.075)), p.colour(1, 1, 1)),
    ]


def face(p: Frame) -> Parts:
    x = p.x.abs()
    mood = 0.35 * p.shape[0]
    mouth = f.both(f.circle(p.x, p.y, 0, 0.05, 0.52).abs() - 0.06, 0.12 + mood - p.y)
    dark = p.colour(0.12, 0.08, 0.07)
    return [
        (f.circle(p.x, p.y, 0, 0, 0.95), p.a),
        (f.ellipse(x, p.y, 0.34, -0.27, 0.12, 0.18), dark),
        (f.circle(x, p.y, 0.31, -0.33, 0.045), p.colour(1, 1, 1)),
        (mouth, dark),
        (f.circle(x, p.y, 0.58, 0.14, 0.12), p.a * p.colour(1.0, 0.72, 0.68)),
    ]


def cat(p: Frame) -> Parts:
    x = p.x.abs()
    ear = f.convex(x, p.y, [(0.22, -0.55), (0.78, -1.0), (0.84, -0.1)])
    inner = f.convex(x, p.y, [(0.42, -0.56), (0.7, -0.8), (0.73, -0.35)])
    whisker = f.union(*(f.segment(x, p.y, 0.3, 0.28 + 0.06 * k, 1.0, 0.2 + 0.2 * k, 0.02) for k in (0, 1)))
    slit = 0.035 + 0.05 * p.shape[0]
    dark = p.colour(0.1, 0.07, 0.07)
    return [
        (f.union(f.ellipse(p.x, p.y, 0, 0.12, 0.86, 0.74), ear), p.a),
        (inner, p.a * p.colour(0.95, 0.6, 0.6)),
        (f.ellipse(x, p.y, 0.36, -0.02, 0.19, 0.16), p.c),
        (f.ellipse(x, p.y, 0.36, -0.02, 0.06, 0.15) - slit * 0.3, dark),
        (f.convex(p.x, p.y, [(-0.11, 0.24), (0.11, 0.24), (0, 0.37)]), p.colour(0.85, 0.4, 0.42)),
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
    return [(trunk, p.colour(0.42, 0.28, 0.17)), (crown + wobble, p.a), (shade + wobble, p.a * 1.25)]


def pine(p: Frame) -> Parts:
    parts: Parts = [(f.box(p.x, p.y, 0, 0.82, 0.1, 0.18), p.colour(0.4, 0.26, 0.16))]
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
    cream = p.colour(0.95, 0.9, 0.8)
    return [
        (stem, cream),
        (f.both(stem, p.y - 0.26), cream * 0.72),
        (cap, p.a),
        (f.both(cap, spots), p.colour(1, 0.98, 0.94)),
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
        (f.circle(p.x, p.y, 0.58, -0.08, 0.12), p.colour(1, 1, 1)),
        (f.circle(p.x, p.y, 0.61, -0.08, 0.06), p.colour(0.05, 0.05, 0.08)),
        (f.both(f.circle(p.x, p.y, 0.95, 0, 0.55).abs() - 0.02, body + 0.06), p.a * 0.55),
    ]


def butterfly(p: Frame) -> Parts:
    x = p.x.abs()
    upper = f.ellipse(x, p.y, 0.5, -0.32, 0.52, 0.36, -38)
    lower = f.ellipse(x, p.y, 0.4, 0.38, 0.4, 0.27, 40)
    wings = f.union(upper, lower)
    dark = p.colour(0.1, 0.07, 0.06)
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
    dark = p.colour(0.08, 0.06, 0.07)
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
        (f.circle(x, p.y, 0.16, -0.78, 0.06), p.colour(1, 1, 1)),
    ]
