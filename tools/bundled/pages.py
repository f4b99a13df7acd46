"""Pages of the generator's images, for inspection."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from priors.generator_net import CLASSES, BundledGenerator
from tools.bundled.files import temporary_for
from tools.bundled.lessons import target


def tile(pictures: Tensor, columns: int, gap: int = 2) -> Image.Image:
    """Pictures (B,3,S,S) in [0, 1] in rows on white."""
    count, _, size, _ = pictures.shape
    rows = math.ceil(count / columns)
    page = Image.new("RGB", (columns * (size + gap) - gap, rows * (size + gap) - gap), "white")
    for k, picture in enumerate((pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()):
        page.paste(Image.fromarray(picture), (k % columns * (size + gap), k // columns * (size + gap)))
    return page


@torch.inference_mode()
def sample_pages(generator: BundledGenerator) -> dict[str, Image.Image]:
    """Random samples, four of every class, pairs with the synthetic images, and interpolated latents."""
    draw = torch.Generator().manual_seed(5)
    latent = torch.randn(4 * CLASSES, generator.latent_size, generator=draw)
    chosen = latent.clone()
    rows = torch.arange(len(chosen))
    chosen[rows, rows // 4] = chosen[:, :CLASSES].amax(1) + 1
    drawn, _ = target(chosen[:112:4])
    pairs = torch.stack([generator(chosen[:112:4]), drawn], 1).flatten(0, 1)
    ends = torch.randn(2, 8, generator.latent_size, generator=draw)
    ends[1, :4, :CLASSES] = ends[0, :4, :CLASSES]  # the first four keep their class
    steps = torch.linspace(0, 1, 14)[None, :, None]
    return {
        "generator_samples": tile(generator(latent[:112]), 14),
        "generator_classes": tile(generator(chosen), 16),
        "generator_pairs": tile(pairs, 14),
        "generator_lines": tile(generator(torch.lerp(ends[0][:, None], ends[1][:, None], steps).flatten(0, 1)), 14),
    }


def save_page(page: Image.Image, path: Path) -> None:
    temporary = temporary_for(path)
    page.save(temporary, "JPEG", quality=88)
    temporary.replace(path)
