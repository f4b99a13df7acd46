"""The contact sheet: some synthetic images of every class on one page."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from tools.bundled.files import temporary_for
from tools.bundled.world import CLASSES, pictures

EACH, ACROSS, SHOWN, GAP, LABEL = 4, 4, 80, 2, 16


@torch.inference_mode()
def contact_sheet(path: Path, seed: int) -> None:
    """Draw EACH images of every class (the last one plain) and store them as a JPEG at `path`."""
    count = len(CLASSES)
    full, _ = pictures(seed, 0, (EACH - 1) * count)
    plain, _ = pictures(seed, (EACH - 1) * count, count, clutter=0.0)
    shown = (torch.cat([full, plain]) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    wide, high = EACH * (SHOWN + GAP) + 8, SHOWN + LABEL + 2
    page = Image.new("RGB", (ACROSS * wide - 8, math.ceil(count / ACROSS) * high), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=11)
    for k, name in enumerate(CLASSES):
        left, top = k % ACROSS * wide, k // ACROSS * high
        for j in range(EACH):
            picture = Image.fromarray(shown[j * count + k]).resize((SHOWN, SHOWN), Image.Resampling.LANCZOS)
            page.paste(picture, (left + j * (SHOWN + GAP), top))
        pen.text((left, top + SHOWN + 1), name, fill=(40, 40, 40), font=font)
    temporary = temporary_for(path)
    page.save(temporary, "JPEG", quality=76)
    temporary.replace(path)
