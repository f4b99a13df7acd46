"""Heat maps as pictures: colour maps for magnitude and sign, over a photo or alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

UNSIGNED = "000004 160b39 420a68 6a176e 932667 bc3754 dd513a f37819 fca50a f6d746 fcffa4"
"""Inferno (van der Walt & Smith 2015): perceptually uniform, lighter for larger values."""
SIGNED = "053061 2065ab 4393c3 90c4dd d1e5f0 f7f6f6 fddbc7 f3a481 d6604d b1182b 67001f"
"""ColorBrewer's diverging red and blue: red is evidence for the target, blue against it."""
BRIGHTEST = 0.995
"""Quantile of |map| that gets the full colour: a single pixel must not darken all others."""
SCALES = {
    name: [f"#{colour}" for colour in table.split()] for name, table in (("unsigned", UNSIGNED), ("signed", SIGNED))
}
"""The colours of both maps as CSS writes them, from the lowest value to the highest."""
OPACITY = 0.85
"""Opacity of the hottest pixels over the photo; the coldest are transparent."""


def strength(heat: Tensor, signed: bool) -> Tensor:
    """Normalises a heat map to [-1, 1], or to [0, 1] if it is unsigned: 0 stays 0, and a map of zeros stays so.

    Args:
        heat: (H, W); NaN and infinities count as 0.
        signed: False clamps negative values to 0.

    Example:
        >>> import torch
        >>> strength(torch.tensor([[-2.0, 0.0, 1.0]]), signed=True)
        tensor([[-1.0000,  0.0000,  0.5000]])
    """
    import torch

    heat = torch.nan_to_num(heat.float(), 0, 0, 0)
    heat = heat if signed else heat.clamp_min(0)
    size = heat.abs()
    scale = torch.quantile(size.flatten(), BRIGHTEST, interpolation="nearest")
    scale = scale if scale > 0 else size.max()
    return (heat / scale).clamp(-1, 1) if scale > 0 else heat


def colours(strengths: Tensor, signed: bool) -> Tensor:
    """Applies the colour map to strengths (H, W) from `strength`: (3, H, W) in [0, 1]."""
    import torch

    parts = [list(bytes.fromhex(colour)) for colour in (SIGNED if signed else UNSIGNED).split()]
    table = torch.tensor(parts, dtype=torch.float32) / 255
    where = ((strengths + 1) / 2 if signed else strengths) * (len(table) - 1)
    low = where.floor().long().clamp(0, len(table) - 2)
    part = (where - low)[..., None]
    return (table[low] * (1 - part) + table[low + 1] * part).permute(2, 0, 1)


def visible(picture: Tensor) -> Tensor:
    """A picture (C, H, W) as one that can be shown in its place: grey and coloured ones as they are, else the mean.

    Returns:
        (1, H, W) or (3, H, W).
    """
    return picture if len(picture) in (1, 3) else picture.mean(0, keepdim=True)


def plain(heat: Tensor, signed: bool) -> Tensor:
    """A heat map (H, W) alone, as a picture (3, H, W) in [0, 1]."""
    return colours(strength(heat, signed), signed)


def overlay(photo: Tensor, heat: Tensor, signed: bool) -> Tensor:
    """A heat map (H, W) over its photo (C, H, W) in [0, 1], whose own colours are desaturated: (3, H, W)."""
    strengths, photo = strength(heat, signed), visible(photo)
    grey = photo.mean(0, keepdim=True)
    ground = 0.35 * photo + 0.65 * grey
    cover = OPACITY * strengths.abs().sqrt()
    return ground * (1 - cover) + colours(strengths, signed) * cover


def cut_out(photo: Tensor, thing: Tensor) -> Tensor:
    """A photo that is transparent outside an object: (4, H, W) in [0, 1].

    Args:
        photo: (C, H, W) in [0, 1].
        thing: mask of the object, (H, W) of booleans.

    Example:
        >>> import torch
        >>> cut_out(torch.ones(1, 1, 2), torch.tensor([[True, False]]))[3]
        tensor([[1., 0.]])
    """
    import torch

    return torch.cat([visible(photo.cpu()).expand(3, -1, -1), thing[None].float()])
