"""Man-made objects, and the list of all objects.

Each function returns pairs (signed distance (B,H,W), colour (B,3)), painted back to front.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from tools.bundled import fields as f
from tools.bundled import nature
from tools.bundled.frame import Frame
from tools.bundled.shapes import Parts


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
        (panes, p.colour(0.7, 0.87, 0.97)),
        (f.both(panes, bars), p.a * 0.5),
        (f.box(x, y, 0, 0.7, 0.14, 0.3, 0.03), p.c * 0.6),
    ]


def umbrella(p: Frame) -> Parts:
    dome = f.both(f.circle(p.x, p.y, 0, 0, 0.95), p.y)
    scallop = f.circle(f.nearest(p.x - 0.2375, 0.475), p.y, 0, 0.1, 0.255)
    panels = f.ellipse(p.x, p.y, 0, 0.0, 0.24, 0.95)
    wide = f.ellipse(p.x, p.y, 0, 0.0, 0.66, 0.95)
    canopy = f.cut(dome, scallop)
    hook = f.both(f.circle(p.x, p.y, 0.15, 0.75, 0.15).abs() - 0.045, 0.75 - p.y)
    return [
        (f.union(f.segment(p.x, p.y, 0, -1.0, 0, 0.75, 0.04), hook), p.colour(0.3, 0.2, 0.14)),
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
        (f.cut(glass, (p.x + 0.08).abs() - 0.04), p.colour(0.72, 0.86, 0.94)),
        (f.box(p.x, p.y, 0.91, 0.14, 0.07, 0.07, 0.02), p.colour(1, 0.92, 0.6)),
        (f.circle(x, p.y, 0.55, 0.45, 0.24), p.colour(0.09, 0.09, 0.1)),
        (f.circle(x, p.y, 0.55, 0.45, 0.11), p.colour(0.75, 0.76, 0.78)),
    ]


def boat(p: Frame) -> Parts:
    hull = f.convex(p.x, p.y, [(-0.9, 0.42), (0.95, 0.42), (0.6, 0.88), (-0.6, 0.88)])
    main = f.convex(p.x, p.y, [(0.06, -0.95), (0.75, 0.3), (0.06, 0.3)])
    jib = f.convex(p.x, p.y, [(-0.06, -0.7), (-0.06, 0.3), (-0.62, 0.3)])
    return [
        (f.segment(p.x, p.y, 0, -0.98, 0, 0.5, 0.035), p.colour(0.35, 0.24, 0.15)),
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
        (flame, p.colour(1, 0.6, 0.1)),
        (f.ellipse(p.x, p.y, 0, 0.58, 0.09, 0.18), p.colour(1, 0.92, 0.45)),
        (fin, p.a),
        (body, p.colour(0.93, 0.93, 0.95)),
        (f.both(body, p.y + 0.36), p.a),
        (f.circle(p.x, p.y, 0, -0.08, 0.17), p.a * 0.5),
        (f.circle(p.x, p.y, 0, -0.08, 0.115), p.colour(0.6, 0.85, 0.97)),
    ]


def clock(p: Frame) -> Parts:
    dial = f.circle(p.x, p.y, 0, 0, 0.78)
    angle, r = torch.atan2(p.y, p.x), f.length(p.x, p.y)
    step = math.pi / 6
    turned = f.nearest(angle, step)
    ticks = f.box(r * torch.cos(turned), r * torch.sin(turned), 0.65, 0, 0.075, 0.03)
    dark = p.colour(0.1, 0.09, 0.1)
    hands = []
    for number, size, pen in ((p.shape[0], 0.36, 0.055), (p.shape[1], 0.52, 0.04)):
        at = number * 2 * math.pi
        hands.append(f.segment(p.x, p.y, 0.0, 0.0, size * torch.sin(at), -size * torch.cos(at), pen))
    return [
        (f.circle(p.x, p.y, 0, 0, 0.95), p.a),
        (dial, p.colour(0.96, 0.95, 0.9)),
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
    snow, dark = p.colour(0.95, 0.97, 1.0), p.colour(0.1, 0.1, 0.13)
    low, mid, head = (f.circle(p.x, p.y, 0, y, radius) for y, radius in ((0.56, 0.44), (-0.02, 0.32), (-0.45, 0.24)))
    arm = f.segment(p.x.abs(), p.y, 0.25, -0.05, 0.75, -0.3, 0.03)
    return [
        (arm, p.colour(0.36, 0.24, 0.15)),
        (low, snow),
        (mid, snow * 0.97),
        (head, snow),
        (f.union(f.box(p.x, p.y, 0, -0.82, 0.18, 0.17), f.box(p.x, p.y, 0, -0.65, 0.3, 0.045)), dark),
        (f.box(p.x, p.y, 0, -0.24, 0.24, 0.06, 0.05), p.a),
        (f.circle(p.x.abs(), p.y, 0.09, -0.5, 0.035), dark),
        (f.convex(p.x, p.y, [(0, -0.47), (0.26, -0.41), (0, -0.37)]), p.colour(1, 0.5, 0.12)),
        (f.circle(p.x, f.nearest(p.y - 0.03, 0.16), 0, 0, 0.035) + 9 * ((p.y - 0.03).abs() > 0.2), dark),
    ]


THINGS: dict[str, Callable[[Frame], Parts]] = {
    function.__name__: function
    for function in (
        nature.eye, nature.face, nature.cat, nature.flower, nature.leaf, nature.tree, nature.pine, nature.mushroom,
        house, nature.fish, nature.butterfly, nature.ladybird, umbrella, car, boat, rocket, clock, key, snowman,
    )
}  # fmt: skip
