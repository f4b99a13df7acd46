"""Simple shapes, letters and digits. Each function returns pairs (signed distance (B,H,W), colour (B,3))."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch import Tensor

from tools.bundled import fields as f
from tools.bundled.frame import Frame

Parts = list[tuple[Tensor, Tensor]]


def triangle(p: Frame) -> Parts:
    return [(f.regular(p.x, p.y, 3, 0.95), p.a)]


def square(p: Frame) -> Parts:
    return [(f.box(p.x, p.y, 0, 0, 0.72, 0.72, 0.05), p.a)]


def star(p: Frame) -> Parts:
    return [(f.star(p.x, p.y, 5, 1.0, 0.36 + 0.1 * p.shape[0]), p.a)]


def cross(p: Frame) -> Parts:
    arm = 0.2 + 0.1 * p.shape[0]
    x, y = p.x.abs(), p.y.abs()
    return [(f.both(f.union(x - arm, y - arm), f.both(x, y) - 0.85), p.a)]


def heart(p: Frame) -> Parts:
    x = p.x.abs()
    lobe = f.circle(x, p.y, 0.4, -0.3, 0.46)
    point = f.both(0.74 * x + 0.67 * p.y - 0.56, -0.3 - p.y)
    return [(f.union(lobe, f.both(point, x - 0.83)), p.a)]


def crescent(p: Frame) -> Parts:
    hole = 0.34 + 0.16 * p.shape[0]
    return [(f.cut(f.circle(p.x, p.y, 0, 0, 0.92), f.circle(p.x, p.y, hole, -0.05, 0.76)), p.a)]


def spiral(p: Frame) -> Parts:
    r, angle = f.length(p.x, p.y), torch.atan2(p.y, p.x)
    d = f.bands(r - angle * (0.4 / (2 * math.pi)), 0.4, 0.17 + 0.05 * p.shape[0])
    return [(f.both(d, r - 0.95), p.a)]


def gear(p: Frame) -> Parts:
    r, angle = f.length(p.x, p.y), torch.atan2(p.y, p.x)
    count = 8 + 2 * torch.floor(p.shape[0] * 2)
    teeth = torch.tanh(3.5 * torch.cos(angle * count)) * 0.11
    body = f.cut((r - 0.8 - teeth) * 0.8, r - 0.3)
    return [(body, p.a), (f.both(r - 0.6, 0.36 - r), p.a * 0.72)]


def arrow(p: Frame) -> Parts:
    shaft = f.box(p.x, p.y, -0.3, 0, 0.6, 0.14, 0.02)
    head = f.convex(p.x, p.y, [(0.1, -0.6), (0.95, 0.0), (0.1, 0.6)])
    return [(f.union(shaft, head), p.a)]


def bolt(p: Frame) -> Parts:
    upper = f.convex(p.x, p.y, [(0.0, -1.0), (0.5, -1.0), (0.1, -0.12), (0.1, 0.12), (-0.5, 0.12)])
    lower = f.convex(p.x, p.y, [(-0.1, -0.14), (0.52, -0.14), (-0.22, 1.0)])
    return [(f.union(upper, lower), p.a)]


def ball(p: Frame) -> Parts:
    disc = f.circle(p.x, p.y, 0, 0, 0.9)
    bulge = torch.sqrt((0.82 - p.y * p.y).clamp(min=0.02))
    panels = f.bands(p.x / bulge, 0.66, 0.33) * bulge
    return [
        (disc, p.b),
        (f.both(disc, panels), p.a),
        (f.both(disc, f.circle(p.x, p.y, 0, -0.84, 0.16)), p.c),
        (f.ellipse(p.x, p.y, -0.32, -0.38, 0.2, 0.12, -40), torch.ones_like(p.a)),
    ]


@cache
def _glyph(text: str) -> Tensor:
    """A soft bitmap of one character, (1,1,128,128) in [0, 1]: pillow's own font, blurred so that .5 is its outline."""
    image = Image.new("L", (256, 256))
    font = ImageFont.load_default(size=230)
    ImageDraw.Draw(image).text((128, 128), text, fill=255, font=font, anchor="mm")
    soft = image.filter(ImageFilter.GaussianBlur(7)).resize((128, 128), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(soft, dtype=np.float32) / 255)[None, None]


def glyph(text: str, p: Frame) -> Parts:
    """A letter or digit; the first shape number sets its weight."""
    bitmap = _glyph(text).to(p.x.device).expand(p.x.shape[0], -1, -1, -1)
    grid = torch.stack([p.x, p.y], -1) * 0.9
    value = F.grid_sample(bitmap, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, 0]
    weight = 0.5 - 0.22 * p.shape[0]
    return [((weight - value) * 0.19, p.a)]


SHAPES: dict[str, Callable[[Frame], Parts]] = {
    function.__name__: function
    for function in (triangle, square, star, cross, heart, crescent, spiral, gear, arrow, bolt, ball)
}
GLYPHS: dict[str, Callable[[Frame], Parts]] = {
    f"{'digit' if text.isdigit() else 'letter'} {text}": partial(glyph, text) for text in "AKR248"
}
