"""A small line chart, drawn with pillow: enough for a loss curve."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 840, 420, 64, 24, 44, 44
INKS = ((31, 98, 181), (214, 92, 38), (46, 139, 87), (128, 70, 160))
SUPERSAMPLE = 2


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    step = 10.0 ** math.floor(math.log10((high - low) / count))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= count)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def line_chart(title: str, lines: dict[str, list[tuple[float, float]]], across: str) -> Image.Image:
    """Lines of points (x, y) on shared axes, y from 0 up, with a legend."""
    points = [point for line in lines.values() for point in line]
    if not points:
        raise ValueError("no points to draw: every line is empty")
    right = max(max(x for x, _ in points), 1e-9)
    top = max(max(y for _, y in points) * 1.05, 1e-9)
    s = SUPERSAMPLE
    image = Image.new("RGB", (WIDTH * s, HEIGHT * s), "white")
    draw = ImageDraw.Draw(image)
    font, bold = ImageFont.load_default(size=13 * s), ImageFont.load_default(size=16 * s)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            (LEFT + x / right * (WIDTH - LEFT - RIGHT)) * s,
            (HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)) * s,
        )

    for tick in _ticks(0, top):
        draw.line([at(0, tick), at(right, tick)], fill=(228, 228, 228), width=s)
        draw.text((at(0, tick)[0] - 8 * s, at(0, tick)[1]), f"{tick:g}", fill=(80, 80, 80), font=font, anchor="rm")
    for tick in _ticks(0, right):
        draw.text((at(tick, 0)[0], at(tick, 0)[1] + 8 * s), f"{tick:g}", fill=(80, 80, 80), font=font, anchor="mt")
    draw.text((WIDTH * s / 2, (HEIGHT - 6) * s), across, fill=(80, 80, 80), font=font, anchor="mb")
    draw.text((LEFT * s, 14 * s), title, fill=(20, 20, 20), font=bold)
    for k, (name, line) in enumerate(lines.items()):
        draw.line([at(x, y) for x, y in line], fill=INKS[k % len(INKS)], width=2 * s, joint="curve")
        draw.text(((WIDTH - RIGHT) * s, (TOP + 18 * k) * s), name, fill=INKS[k % len(INKS)], font=font, anchor="rt")
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
