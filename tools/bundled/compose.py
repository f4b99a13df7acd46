"""One image from its uniform numbers: pose, colours, background, the object itself, an occluder, the camera.

An image has NUMBERS numbers in [0, 1). The first POSE of them describe the *plain* image: position, scale, rotation,
colours and light. The others are its clutter: background, distractors, occluder, blur and noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from priors.generator_net import into_frame, place
from tools.bundled import fields as f
from tools.bundled.frame import Frame
from tools.bundled.palette import ANY, NATURAL, apart, tint
from tools.bundled.shapes import GLYPHS, SHAPES, Parts
from tools.bundled.textures import TEXTURES, Layers
from tools.bundled.things import THINGS

POSE = 24
NUMBERS = 80
CLASSES: tuple[str, ...] = (*TEXTURES, *SHAPES, *THINGS, *GLYPHS)
TEXTURE_COUNT = len(TEXTURES)
BACKGROUNDS = tuple(
    list(TEXTURES).index(name)
    for name in ("stripes", "waves", "checks", "dots", "bricks", "hexagons", "triangles", "scales", "weave", "wood",
                 "marble", "clouds", "camouflage", "plaid")
)  # fmt: skip
SLOTS = 5  # four distractors and one occluder
_OBJECTS = {**SHAPES, **THINGS, **GLYPHS}
_UPRIGHT = {
    "crescent": 60.0, "leaf": 150.0, "butterfly": 60.0, "ladybird": 90.0, "fish": 30.0, "eye": 25.0, "heart": 35.0,
    "bolt": 35.0, "bricks": 25.0, "scales": 25.0, "wood": 40.0, "clouds": 15.0,
}  # fmt: skip
_FREE = {
    "stripes", "zigzag", "waves", "checks", "plaid", "dots", "rings", "rays", "hexagons", "triangles", "weave",
    "marble", "camouflage", "cracks", "mosaic", "leopard", "triangle", "square", "star", "cross", "spiral", "gear",
    "arrow", "ball", "flower", "key",
}  # fmt: skip


def turn_limit(name: str) -> float:
    """The largest rotation of a class either way, in degrees."""
    return 180.0 if name in _FREE else _UPRIGHT.get(name, 16.0)


def placement(label: Tensor, pose: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Centre x, y, scale, turn in degrees and aspect, each (B,), of classes (B,) with numbers (B, POSE or more)."""
    limit = torch.tensor([turn_limit(name) for name in CLASSES], device=label.device)[label]
    return place(pose, (label < TEXTURE_COUNT).float(), limit)


def picture_grid(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    centres = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
    return centres[None, None, :], centres[None, :, None]


@dataclass(frozen=True)
class Scene:
    """Everything about a batch of images except the pixels. Colours are (B,3), numbers (B,)."""

    label: Tensor
    u: Tensor
    a: Tensor
    b: Tensor
    c: Tensor
    paper: Tensor  # behind an object
    paper2: Tensor  # the background texture's ink
    texture: Tensor  # index of the texture that fills the image, -1 for none
    seed: Tensor
    clutter: float


def read(label: Tensor, u: Tensor, clutter: float) -> Scene:
    """Colours and kinds from the numbers u (B, NUMBERS)."""
    palettes = [NATURAL.get(name, ANY) for name in CLASSES]

    def ranged(low: list[float], high: list[float], number: Tensor) -> Tensor:
        table = torch.tensor([low, high], device=u.device)
        return table[0, label] + (table[1, label] - table[0, label]) * number

    free = u[:, 24] < 0.2 * clutter  # some objects get an arbitrary colour
    hue = ranged([p.hue - p.spread / 2 for p in palettes], [p.hue + p.spread / 2 for p in palettes], u[:, 5])
    hue = torch.where(free, u[:, 25], hue)
    saturation = ranged([p.saturation[0] for p in palettes], [p.saturation[1] for p in palettes], u[:, 6])
    light = ranged([p.luminance[0] for p in palettes], [p.luminance[1] for p in palettes], u[:, 7])
    reference = torch.tensor([-1.0 if p.reference is None else p.reference for p in palettes], device=u.device)[label]
    reference = torch.where(reference < 0, light, reference)

    is_texture = label < TEXTURE_COUNT
    a = tint(hue, saturation, light)
    b = tint(u[:, 8], 0.1 + 0.6 * u[:, 9], apart(u[:, 10], reference, 0.3))
    c = tint(hue + 0.3 + 0.4 * u[:, 11], 0.5 + 0.45 * u[:, 9], apart(u[:, 12], light, 0.22, 0.15, 0.85))
    clouds = list(CLASSES).index("clouds")
    b = torch.where((label == clouds)[:, None], a, b)
    a = torch.where((label == clouds)[:, None], b * 0.75, a)

    paper_light = apart(u[:, 23], reference, 0.2)
    paper = tint(u[:, 21], 0.1 + 0.55 * u[:, 22], paper_light)
    contrast = 0.08 + 0.16 * u[:, 27]
    sign = torch.where((paper_light > 0.5) ^ (u[:, 28] < 0.3), -1.0, 1.0)
    ink_light = (paper_light + sign * contrast).clamp(0.04, 0.97)
    paper2 = tint(u[:, 21] + 0.3 * (u[:, 29] - 0.5), 0.1 + 0.6 * u[:, 29], ink_light)
    kinds = torch.tensor(BACKGROUNDS, device=u.device)[(u[:, 30] * len(BACKGROUNDS)).long()]
    texture = torch.where(u[:, 31] < 0.6 * clutter, kinds, -1)
    return Scene(
        label, u, a, b, c, paper, paper2, torch.where(is_texture, label, texture), 3 + 100 * u[:, 26] * clutter, clutter
    )


def _frame(scene: Scene, rows: Tensor, size: int, behind: bool = False) -> Frame:
    u, label = scene.u[rows], scene.label[rows]
    if behind:  # a background has a pose of its own
        x, y, scale, turn, aspect = placement(torch.zeros_like(label), u[:, 32:37])
        turn = torch.where(u[:, 37] < 0.5, turn, turn / 9)
        a, b = scene.paper2[rows], scene.paper[rows]
        c = 0.5 * (a + b)
    else:
        x, y, scale, turn, aspect = placement(label, u)
        a, b, c = scene.a[rows], scene.b[rows], scene.c[rows]
    fx, fy, pixel = into_frame(size, x, y, scale, turn, aspect)
    shape = tuple(u[:, 16 + k, None, None] for k in range(5))
    return Frame(fx, fy, pixel, shape, scene.seed[rows][:, None, None], a, b, c)


def over(canvas: Tensor, alpha: Tensor, colour: Tensor) -> Tensor:
    """Paint a colour (B,3) over a canvas (B,3,H,W) by coverage (B,H,W)."""
    return torch.lerp(canvas, colour[:, :, None, None].expand_as(canvas), alpha[:, None])


def _texture(kind: int, frame: Frame) -> Tensor:
    layers: Layers = TEXTURES[CLASSES[kind]](frame)
    canvas = frame.b[:, :, None, None].expand(-1, -1, *frame.x.shape[1:]).contiguous()
    for alpha, colour in layers:
        canvas = over(canvas, alpha, colour)
    return canvas


def _thing(name: str, frame: Frame, canvas: Tensor, light: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """An object over its background, with a soft shadow around it and a lit bevel."""
    parts: Parts = _OBJECTS[name](frame)
    outline = f.union(*(d for d, _ in parts))
    canvas = canvas * (1 - 0.4 * torch.exp(-outline.clamp(min=0) * 9))[:, None]
    inside = frame.ink(outline)
    thing = canvas
    for d, colour in parts:
        thing = over(thing, frame.ink(d), colour)
    slope_x = F.pad(outline[:, :, 2:] - outline[:, :, :-2], (1, 1)) / (2 * frame.pixel)
    slope_y = F.pad(outline[:, 2:] - outline[:, :-2], (0, 0, 1, 1)) / (2 * frame.pixel)
    lx, ly, strength = (v[:, None, None] for v in light)
    rim = (1 + outline.clamp(-0.3, 0) / 0.3) ** 2
    shade = 1 - 0.55 * strength * rim * (lx * slope_x + ly * slope_y).clamp(-1, 1) * inside
    return thing * shade[:, None]


def _blob(canvas: Tensor, v: Tensor, x: Tensor, y: Tensor, big: Tensor) -> Tensor:
    """A rounded bar or ellipse of one colour over the canvas: v (B,5) are its numbers, (x, y) its centre."""
    size = canvas.shape[-1]
    fx, fy, pixel = into_frame(size, x, y, big, 360 * v[:, 0], torch.exp(1.2 * (v[:, 1] - 0.5)))
    soft = 0.3 + 0.69 * v[:, 2, None, None]
    qx, qy = fx.abs() - (1 - soft), fy.abs() - (1 - soft)
    d = f.length(qx.clamp(min=0), qy.clamp(min=0)) + torch.maximum(qx, qy).clamp(max=0) - soft
    colour = tint(v[:, 3], 0.2 + 0.6 * v[:, 0], 0.1 + 0.8 * v[:, 4])
    return over(canvas, (0.5 - d / pixel).clamp(0, 1), colour)


def _blobs(scene: Scene, rows: Tensor, canvas: Tensor, front: bool) -> Tensor:
    """Distractors behind objects, or the occluder in front of them."""
    u = scene.u[rows]
    texture = scene.label[rows] < TEXTURE_COUNT
    x, y, scale, _, _ = placement(scene.label[rows], u)
    for slot in range(SLOTS - 1) if not front else (SLOTS - 1,):
        v = u[:, 40 + 8 * slot : 48 + 8 * slot]
        probability = 0.4 * scene.clutter
        hit = v[:, 7] < (probability if front else torch.where(texture, 0.0, probability))
        at = hit.nonzero()[:, 0]
        if not len(at):
            continue
        v = v[at]
        bx, by, big = 2.2 * v[:, 5] - 1.1, 2.2 * v[:, 6] - 1.1, 0.08 + 0.3 * v[:, 1] * v[:, 4]
        if front:  # over the edge of an object, anywhere on a texture
            angle, reach = 2 * math.pi * v[:, 5], scale[at] * (0.75 + 0.35 * v[:, 6])
            bx = torch.where(texture[at], bx, x[at] + reach * torch.cos(angle))
            by = torch.where(texture[at], by, y[at] + reach * torch.sin(angle))
            big = torch.where(texture[at], 0.12 + 0.28 * v[:, 3], scale[at] * (0.16 + 0.16 * v[:, 3]))
        canvas[at] = _blob(canvas[at], v, bx, by, big)
    return canvas


def _camera(scene: Scene, rows: Tensor, canvas: Tensor) -> Tensor:
    """Blur, exposure and grain; the light across the image is part of the plain image too."""
    u, size = scene.u[rows], canvas.shape[-1]
    gx, gy = picture_grid(size, u.device)
    lx, ly, strength = light_of(u)
    fall = 1 - 0.22 * strength[:, None, None] * (lx[:, None, None] * gx + ly[:, None, None] * gy)
    canvas = canvas * fall[:, None]
    if scene.clutter > 0:
        at = (u[:, 72] > 0.4).nonzero()[:, 0]
        amount = scene.clutter * (u[at, 72] - 0.4) / 0.6
        canvas[at] = torch.lerp(canvas[at], _blur(canvas[at]), amount[:, None, None, None])
        contrast = (1 + scene.clutter * (0.45 * u[:, 73] - 0.3))[:, None, None, None]
        bright = (scene.clutter * 0.2 * (u[:, 74] - 0.5))[:, None, None, None]
        warm = scene.clutter * 0.14 * (u[:, 75] - 0.5)
        cast = torch.stack([1 + warm, torch.ones_like(warm), 1 - warm], 1)[:, :, None, None]
        canvas = ((canvas - 0.5) * contrast + 0.5 + bright) * cast
        grain = (scene.clutter * 0.06 * u[:, 76] ** 2)[:, None, None, None]
        canvas = canvas + grain * _grain(size, u[:, 77])
    return canvas.clamp(0, 1)


def _blur(canvas: Tensor) -> Tensor:
    """A binomial blur with a sigma of one pixel."""
    for axis in (2, 3):
        size = canvas.shape[axis]
        p = F.pad(canvas, (0, 0, 2, 2) if axis == 2 else (2, 2, 0, 0), mode="replicate")
        outer, inner, middle = (p.narrow(axis, k, size) for k in (0, 1, 2))
        canvas = (outer + p.narrow(axis, 4, size)).add_(inner + p.narrow(axis, 3, size), alpha=4)
        canvas = canvas.add_(middle, alpha=6) / 16
    return canvas


def _grain(size: int, number: Tensor) -> Tensor:
    """Uniform noise (B,3,size,size) of unit variance, drawn by the number: a slice of one fixed long row of noise."""
    total = 3 * size * size
    row = torch.rand(total + 65536, generator=torch.Generator().manual_seed(9)).to(number.device)
    start = (number * 65536).long()
    return (torch.stack([row[s : s + total] for s in start.tolist()]) - 0.5).mul_(12**0.5).view(-1, 3, size, size)


def light_of(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the light comes from, as a unit vector pointing away from it, and how strong it is in [0, 1]."""
    angle = 2 * math.pi * u[:, 13]
    return torch.cos(angle), torch.sin(angle), 0.25 + 0.75 * u[:, 14]


def render(label: Tensor, u: Tensor, size: int, clutter: float) -> Tensor:
    """Pictures (B,3,size,size) in [0, 1] of the classes label (B,) from the numbers u (B, NUMBERS)."""
    scene = read(label, u, clutter)
    canvas = scene.paper[:, :, None, None].expand(-1, -1, size, size).contiguous()
    _, gy = picture_grid(size, u.device)
    slope = 1 + 0.5 * (u[:, 15, None, None] - 0.5) * gy
    canvas = canvas * slope[:, None]
    for kind in scene.texture.unique().tolist():
        if kind >= 0:
            for rows in (scene.texture == kind).nonzero()[:, 0].split(32):
                own = scene.label[rows] == kind
                for part, behind in ((rows[own], False), (rows[~own], True)):
                    if len(part):
                        canvas[part] = _texture(kind, _frame(scene, part, size, behind))
    for kind in scene.label.unique().tolist():
        for rows in (scene.label == kind).nonzero()[:, 0].split(32):
            picture = canvas[rows]
            if kind >= TEXTURE_COUNT:
                picture = _blobs(scene, rows, picture, front=False)
                picture = _thing(CLASSES[kind], _frame(scene, rows, size), picture, light_of(u[rows]))
            picture = _blobs(scene, rows, picture, front=True)
            canvas[rows] = _camera(scene, rows, picture)
    return canvas
